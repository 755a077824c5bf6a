"""A file of the rig's controller, fetched by SFTP."""

from __future__ import annotations

import stat
from contextlib import suppress
from typing import Any, Final

from paramiko import SFTPClient

from device_drivers.bench.ssh.connection import Connection
from harness.domain.errors import ControllerFault, LabFault

MOST_FETCHED: Final = 256 * 1024 * 1024  # bytes
_PIECE: Final = 256 * 1024


def read_file(connection: Connection, path: str, within: float, *, most: int = MOST_FETCHED) -> bytes:
    """The file's content; each piece of it has ``within`` seconds to come.

    :class:`ControllerFault` where there is no such file, or none that may be read, or too long a one.
    """
    what = f"fetching {path}"
    with connection.bounded(within, what):
        channel = connection.transport.open_session()
        channel.invoke_subsystem("sftp")
        files = SFTPClient(channel)
        try:
            file = _opened(files, path)
        except OSError as error:
            files.close()
            raise _no_file(connection, path, error.strerror or str(error)) from error
    content = bytearray()
    try:
        piece = b"."
        while piece and len(content) <= most:
            with connection.bounded(within, what):
                piece = file.read(_PIECE)
            content += piece
    finally:
        with suppress(LabFault), connection.bounded(within, what):  # what came has come
            file.close()
            files.close()
    if len(content) > most:
        raise _no_file(connection, path, f"it is longer than {most} bytes")
    return bytes(content)


def _opened(files: SFTPClient, path: str) -> Any:
    if not stat.S_ISREG(files.stat(path).st_mode or 0):  # to open a pipe might take for ever
        raise OSError(0, "it is no regular file")
    return files.open(path, "rb")


def _no_file(connection: Connection, path: str, why: str) -> ControllerFault:
    return ControllerFault(
        f"{connection.name}: file {path} cannot be fetched: {why}",
        remedy="look for it there; is the path whole?",
    )
