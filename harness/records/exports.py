"""Making the exports of a run folder, and its seal: what one renderer breaks, no other has to suffer."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

from harness.domain.errors import HarnessError
from harness.domain.lab import Lab
from harness.hooks import Renderer
from harness.records.run_lock import RunLock
from harness.records.seal import sealing_key
from harness.records.sealing import Seal, seal_of, write_manifest

Renderers = Iterable[Iterable[Renderer]]
"""As hook ``harness_renderers`` gives them."""


def conclude(renderers: Renderers, folder: Path, lab: Lab) -> tuple[tuple[str, ...], bool]:
    """Make every export of a run that is over, and seal it; who calls holds its lock.

    Returns a line for each thing that failed, and whether the run is sealed. The journals are whole, so what
    failed can be done later.
    """
    failed = _make(renderers, folder, lab)
    try:
        write_manifest(folder, sealing_key(lab))
    except (HarnessError, OSError) as error:
        failed += (f"the run is not sealed: {error}; once that is put right: harness resume {folder}",)
        return failed, False
    return failed, True


def make_again(renderers: Renderers, folder: Path, lab: Lab) -> tuple[tuple[str, ...], Seal]:
    """Make every export of a run anew, and seal it again where all that is recorded is as it was sealed.

    Returns a line for each export that failed, and how the folder stood to its seal. A run that nobody has
    brought to its end is not sealed by this: only who goes on with it can say what it was. Raises what
    :func:`~harness.records.sealing.seal_of` does, and where the run is in use, before anything is written.
    """
    lock = RunLock.take(folder)
    try:
        key = sealing_key(lab)
        seal = seal_of(folder, key)
        failed = _make(renderers, folder, lab)
        if seal is Seal.WHOLE:
            write_manifest(folder, key)
    finally:
        lock.release()
    return failed, seal


def _make(renderers: Renderers, folder: Path, lab: Lab) -> tuple[str, ...]:
    failed = []
    for renderer in (renderer for plugin in renderers for renderer in plugin):
        try:
            list(renderer.render(folder, lab))
        except OSError as error:
            failed.append(_told(renderer, str(error), folder))
            if error.errno == errno.ENOSPC:
                break  # nor could those that follow
        except Exception as error:  # a third party's code: whatever it raises, the rest is made
            failed.append(_told(renderer, f"{type(error).__name__}: {error}", folder))
    return tuple(failed)


def _told(renderer: Renderer, why: str, folder: Path) -> str:
    then = f"once that is put right: harness ttm heatmap {folder}"
    return f"export {renderer.name} could not be made: {why}; {then}"
