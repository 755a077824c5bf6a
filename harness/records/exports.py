"""Making the exports of a run folder: what one renderer breaks, no other has to suffer."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

from harness.domain.lab import Lab
from harness.hooks import Renderer


def make_exports(plugins: Iterable[Iterable[Renderer]], folder: Path, lab: Lab) -> tuple[str, ...]:
    """Make every export, as hook ``harness_renderers`` gives them; returns a line for each that failed.

    The run is over and its journals are whole, so an export that cannot be made can be made later.
    """
    failed = []
    for renderer in (renderer for renderers in plugins for renderer in renderers):
        try:
            list(renderer.render(folder, lab))
        except OSError as error:
            failed.append(f"export {renderer.name} could not be made: {error}")
            if error.errno == errno.ENOSPC:
                break  # nor could those that follow
        except Exception as error:  # a third party's code: whatever it raises, the rest is made
            failed.append(f"export {renderer.name} could not be made: {type(error).__name__}: {error}")
    return tuple(failed)
