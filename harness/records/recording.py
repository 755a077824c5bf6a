"""What a run does where its record cannot be written: nothing goes on that would leave no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.domain.errors import LabFault


class RecordFault(LabFault):
    """The record cannot be written: the disk is full, or gone. Put it right, then resume the run."""

    suspect = False


@contextmanager
def recording(path: Path) -> Iterator[None]:
    """Writing what is at, or below, a path: where the disk fails it is a :class:`RecordFault`."""
    try:
        yield
    except FileExistsError:  # which the writer knows what to make of
        raise
    except OSError as error:
        raise RecordFault(
            f"{path} cannot be written: {error.strerror}", remedy="make room, then resume the run"
        ) from error
