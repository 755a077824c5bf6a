"""Commands on a rig's controller: both streams drained as they come, none outlives who started it.

A command runs under a small shell there, its keeper, which ends the command's whole process group when the
standard input of the session ends: because it was told so, or because the connection is no more. What the
command leaves in its group when it ends by itself, in the background say, is ended too.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from device_drivers.bench.ssh.connection import TROUBLE, Connection
from harness.domain.errors import ControllerFault, LabFault, TransportLost
from harness.domain.instruments import CommandResult

MOST_KEPT: Final = 16 * 1024 * 1024  # bytes of each stream
HEARTBEAT: Final = 10.0  # seconds: how often a silent controller is asked whether it is there
ANSWER: Final = 1.0  # seconds in which it should say so
PATIENCE: Final = 2  # seconds between SIGTERM and SIGKILL
_PIECE: Final = 32 * 1024
_TAIL: Final = 300  # bytes of a stream in a message

# $1 is the command. The watcher ignores SIGTERM, so that SIGKILL follows where the command ignores it too. It
# holds standard input open, which may be one socket with standard output: it goes before the keeper does.
# What the keeper itself has to say of how children died is nobody's error.
_KEEPER: Final = (
    "exec 3<&0 4>&2 </dev/null 2>/dev/null; "
    f"{{ trap '' TERM; read -r _ <&3; kill -TERM -$$; sleep {PATIENCE}; kill -KILL -$$; }} >/dev/null 4>&- & "
    "watcher=$!; exec 3<&-; trap 'exit 143' TERM; "
    """sh -c 'exec sh -c "$1" 2>&4 4>&-' sh "$1"; status=$?; """
    "trap '' TERM; kill -KILL $watcher; wait $watcher; kill -TERM -$$; exit $status"
)


class Stream:
    """What a command wrote to one of its streams, so much of it as is kept."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = bytearray()
        self._left_out = 0
        self._ended = False
        self._changed = threading.Condition()

    def drain(self, read: Callable[[int], bytes], hold_back: Callable[[], None]) -> None:
        """Take what comes until the stream ends, or the connection does, or the rig is not ours."""
        try:
            while piece := read(_PIECE):
                self._take(piece)
                hold_back()  # to read is to tell the other end that it may send more
        except (*TROUBLE, LabFault):
            pass  # the missing exit status tells so
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _take(self, piece: bytes) -> None:
        with self._changed:
            kept = piece[: self._most - len(self._kept)]
            self._kept += kept
            self._left_out += len(piece) - len(kept)
            self._changed.notify_all()

    def shows(self, text: bytes, within: float) -> bool:
        """Whether such a text came, or comes in so many seconds; ``False`` at once where the stream ends."""
        with self._changed:
            self._changed.wait_for(lambda: text in self._kept or self._ended, within)
            return text in self._kept

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._ended

    def content(self) -> bytes:
        """What was kept, with a note where it was cut."""
        with self._changed:
            note = f"\n[cut here: {self._left_out} further bytes]\n".encode() if self._left_out else b""
            return bytes(self._kept) + note


class RemoteCommand:
    """Implements :class:`~harness.domain.instruments.RunningCommand`.

    Life cycle: create (it runs), ``ready``, then one of ``wait`` and ``stop``; ``close`` ends it at once.
    """

    def __init__(
        self, connection: Connection, command: str, within: float, *, most_kept: int = MOST_KEPT
    ) -> None:
        self.command = command
        self._connection = connection
        self._what = f"command {command!r}"
        self._begun = time.monotonic()
        with connection.bounded(within, f"starting {self._what}"):
            self._channel = connection.transport.open_session()
            self._channel.exec_command(f"exec sh -c {shlex.quote(_KEEPER)} sh {shlex.quote(command)}")
        self._output, self._errors = Stream(most_kept), Stream(most_kept)
        self._drains = tuple(
            threading.Thread(
                target=stream.drain, args=(read, connection.hold_back), name="ssh-drain", daemon=True
            )
            for stream, read in (
                (self._output, self._channel.recv),
                (self._errors, self._channel.recv_stderr),
            )
        )
        for drain in self._drains:
            drain.start()

    @property
    def over(self) -> bool:
        """Whether it has been let go of, here or at the other end."""
        return bool(self._channel.closed)

    def ready(self, text: str, *, within: timedelta) -> None:
        """Wait until the command has written such a text to its error stream."""
        if self._errors.shows(text.encode(), within.total_seconds()):
            return
        if self._errors.ended:
            result = self.wait(within=within)
            raise ControllerFault(
                f"{self._connection.name}: {self._what} ended with status {result.status} "
                f"before it was ready: {_tail(result.errors)}",
                remedy="run it by hand there",
            )
        self._connection.answers(ANSWER)
        self._end()
        raise ControllerFault(
            f"{self._connection.name}: {self._what} was not ready within {within.total_seconds():g} s: "
            f"{_tail(self._errors.content())}",
            remedy="run it by hand there",
        )

    def wait(self, *, within: timedelta) -> CommandResult:
        """Wait for its end; one that is late is ended, and a :class:`ControllerFault`."""
        deadline = time.monotonic() + within.total_seconds()
        while not self._ended(min(HEARTBEAT, max(deadline - time.monotonic(), 0))):
            self._connection.answers(ANSWER)
            if time.monotonic() >= deadline:
                self._end()
                raise ControllerFault(
                    f"{self._connection.name}: {self._what} had not ended after "
                    f"{within.total_seconds():g} s, and was made to: {_tail(self._errors.content())}",
                    remedy="give it longer, or find out there why it hangs",
                )
        return self._result()

    def stop(self, *, within: timedelta) -> CommandResult:
        """End it with SIGTERM, then SIGKILL; status 143 where it had not ended by itself."""
        if not self._ended(0):
            self._end(within.total_seconds())
        return self._result()

    def close(self) -> None:
        """End it at once where it still runs, without a word about how; closing twice is fine."""
        if self._connection.alive() and not self._ended(0):
            self._end()
        self._let_go()

    def abandon(self) -> None:
        """Let go of it once its connection is closed: its keeper there ends it."""
        for drain in self._drains:
            drain.join()

    def _end(self, within: float = 0.0) -> None:
        """Have its keeper there end it, and see it end; :class:`TransportLost` where that end is mute."""
        with self._connection.bounded(ANSWER, f"ending {self._what}"):
            self._channel.shutdown_write()
        if not self._ended(max(within, PATIENCE + ANSWER)):
            self._connection.answers(ANSWER)
            self._let_go()
            raise ControllerFault(
                f"{self._connection.name}: {self._what} cannot be ended",
                remedy="end it by hand there; something that it started may have left its process group",
            )

    def _ended(self, within: float) -> bool:
        """Whether both streams are at their end and the exit status, or the lack of one, is known."""
        deadline = time.monotonic() + within
        for drain in self._drains:
            drain.join(max(deadline - time.monotonic(), 0))
        if any(drain.is_alive() for drain in self._drains):
            return False
        return bool(self._channel.status_event.wait(max(deadline - time.monotonic(), 0)))

    def _result(self) -> CommandResult:
        status = int(self._channel.exit_status)
        self._let_go()
        if status < 0:
            fault = self._connection.fault(self._what, "it ended without an exit status")
            if isinstance(fault, TransportLost):
                raise fault
            status = 137  # the keeper itself was killed there
        return CommandResult(
            command=self.command,
            status=status,
            output=self._output.content(),
            errors=self._errors.content(),
            seconds=round(time.monotonic() - self._begun, 3),
        )

    def _let_go(self) -> None:
        if not self._channel.closed:
            with self._connection.bounded(ANSWER, f"leaving {self._what}"):
                self._channel.close()
        for drain in self._drains:
            drain.join()


def _tail(content: bytes) -> str:
    text = content.decode("utf-8", "replace").strip()
    return f"…{text[-_TAIL:]}" if len(text) > _TAIL else text or "it wrote no error"
