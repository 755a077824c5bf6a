"""A twin's optical port: sign-on and HDLC behind a pseudo terminal, or behind a raw TCP serial server.

A pseudo terminal has no line, so bytes take no time on it; but its two ends agree on a baud rate or do not
hear each other, as on a real one. ``turnaround`` makes a line of it: bytes take their time then, in real
seconds, and an answer begins so long after the last byte of what it answers.
"""

from __future__ import annotations

import os
import select
import socket
import termios
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from device_drivers.dlms.hdlc.server import HdlcServer
from device_drivers.iec62056.meter import Phase, SignOnMeter, Spoken
from device_drivers.transports.base import BAUD_RATES, line_time

LOOPBACK: Final = "127.0.0.1"
_PIECE: Final = 4_096
_PACED_PIECE: Final = 16  # bytes that are put on a paced line at once
_RATES: Final = {getattr(termios, f"B{baud}"): baud for baud in BAUD_RATES}
_OUTPUT_SPEED: Final = 5  # in what termios.tcgetattr gives


class MeterPort:
    """What stands behind an optical port, sans-IO: whoever listens now, sign-on or HDLC.

    Without ``sign_on`` HDLC listens at once, at ``baud``. ``power`` tells how often the meter has lost its
    supply and whether it has it now: a cut ends every session, and without power nothing answers.
    """

    def __init__(
        self,
        hdlc: HdlcServer,
        sign_on: SignOnMeter | None = None,
        *,
        baud: int = 9_600,
        power: Callable[[], tuple[int, bool]] = lambda: (0, True),
    ) -> None:
        self._hdlc = hdlc
        self._sign_on = sign_on
        self._baud = baud
        self._power = power
        self._cuts = power()[0]
        self._was_in_session = False

    @property
    def baud(self) -> int:
        """The rate at which the meter listens."""
        return self._sign_on.baud if self._sign_on else self._baud

    @property
    def signing_on(self) -> bool:
        """Whether a sign-on is waited for, or under way."""
        return self._sign_on is not None and self._sign_on.phase is not Phase.HDLC

    @property
    def reaction(self) -> float:
        """Seconds that the meter waits before it answers a message of the sign-on."""
        return self._sign_on.reaction if self._sign_on else 0.0

    def attends(self, now: float) -> bool:
        """Whether anybody listens: what time and supply have done to its sessions is done by then."""
        cuts, powered = self._power()
        if cuts != self._cuts:
            self._cuts = cuts
            self._end_sessions()
        self._fall_back(now)
        return powered

    def feed(self, received: bytes, now: float) -> tuple[Spoken, ...]:
        """What the meter says to these bytes, in order."""
        if not self.attends(now):
            return ()
        if self._sign_on is not None and self.signing_on:
            return self._sign_on.feed(received, now)
        said = self._hdlc.feed(received, now)
        spoken = (Spoken(said, self.baud),) if said else ()
        self._fall_back(now)
        return spoken

    def _fall_back(self, now: float) -> None:
        """Wait for a sign-on again where the session has ended, by its client or by its rest."""
        self._hdlc.expire(now)
        if self._was_in_session and not self._hdlc.connected and self._sign_on is not None:
            self._sign_on.release()
        self._was_in_session = self._hdlc.connected

    def _end_sessions(self) -> None:
        self._hdlc.reset()
        self._was_in_session = False
        if self._sign_on is not None:
            self._sign_on.release()


class OpticalPort:
    """A meter's port behind a pseudo terminal; :attr:`path` is its name. A probe that echoes sends back all.

    Life cycle: construct (it listens from then on), :meth:`close`, which is also how a probe is pulled out.
    """

    def __init__(self, meter: MeterPort, *, echo: bool = False, turnaround: float | None = None) -> None:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)  # held open: else the end of one client would be that of the port
        self.path = os.ttyname(self._theirs)
        self._speaker = _Speaker(meter, self._ours, self._rate, turnaround, echo=echo)
        self._thread = threading.Thread(target=self._speaker.run, name="optical-port", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the port vanish; closing twice is fine."""
        if self._speaker.stop():
            self._thread.join()
            os.close(self._ours)
            os.close(self._theirs)
            self._speaker.close()

    def _rate(self) -> int | None:
        """The rate at which the client's end stands."""
        return _RATES.get(termios.tcgetattr(self._ours)[_OUTPUT_SPEED])


class SerialServer:
    """A meter's port behind a raw TCP serial server on the loopback: one client at a time.

    Such a server's own settings are not the client's to see: both ends always stand at one rate.
    Life cycle: construct (it listens from then on), :meth:`close`.
    """

    def __init__(self, meter: MeterPort, port: int = 0) -> None:
        self._listener = socket.create_server((LOOPBACK, port), backlog=1)
        self._meter = meter
        self._speaker: _Speaker | None = None
        self._guard = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="serial-server", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def close(self) -> None:
        """Hang up and stop listening; closing twice is fine."""
        with self._guard:
            self._closed = True
            if self._speaker is not None:
                self._speaker.stop()
        with suppress(OSError):  # closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            with client:
                speaker = _Speaker(self._meter, client.fileno(), lambda: None, None)
                with self._guard:
                    if self._closed:
                        speaker.close()
                        return
                    self._speaker = speaker
                speaker.run()
                with self._guard:
                    self._speaker = None
                    speaker.close()


class _Speaker:
    """Carries bytes between a descriptor and a meter, until :meth:`stop` or the end of the descriptor."""

    def __init__(
        self,
        meter: MeterPort,
        descriptor: int,
        rate: Callable[[], int | None],
        turnaround: float | None,
        *,
        echo: bool = False,
    ) -> None:
        os.set_blocking(descriptor, False)
        self._meter = meter
        self._descriptor = descriptor
        self._rate = rate
        self._turnaround = turnaround
        self._echo = echo
        self._free_at = 0.0  # when the line has carried what was last put on it
        self._woken, self._wake = os.pipe()
        self._stopped = False

    def stop(self) -> bool:
        """Have :meth:`run` return; ``False`` where it was told already."""
        told, self._stopped = self._stopped, True
        if not told:
            os.write(self._wake, b".")
        return not told

    def close(self) -> None:
        """Let go of what woke it, once :meth:`run` has returned."""
        os.close(self._woken)
        os.close(self._wake)

    def run(self) -> None:
        """Hear and answer."""
        try:
            while self._wait(self._descriptor, select.POLLIN):
                received = os.read(self._descriptor, _PIECE)
                if not received:
                    return
                if self._echo:
                    self._write(received)
                self._answer(received)
        except OSError:  # the other end has gone
            return

    def _answer(self, received: bytes) -> None:
        meter = self._meter
        if not meter.attends(time.monotonic()) or self._rate() not in (None, meter.baud):
            return  # at another rate it is noise
        signing_on, heard_at = meter.signing_on, meter.baud
        if signing_on or self._turnaround is not None:
            self._free_at = max(time.monotonic(), self._free_at) + line_time(len(received), heard_at)
            self._pause_until(self._free_at)
        spoken = meter.feed(received, time.monotonic())
        if spoken:
            pause = meter.reaction if signing_on else self._turnaround or 0.0
            self._pause_until(self._free_at + pause)
        for said in spoken:
            self._say(said)

    def _say(self, said: Spoken) -> None:
        if self._rate() not in (None, said.baud):
            return
        if self._turnaround is None:
            self._write(said.data)
            return
        begun = time.monotonic()
        for start in range(0, len(said.data), _PACED_PIECE):
            piece = said.data[start : start + _PACED_PIECE]
            self._free_at = begun + line_time(start + len(piece), said.baud)
            self._pause_until(self._free_at)
            self._write(piece)

    def _write(self, data: bytes) -> None:
        while data and self._wait(self._descriptor, select.POLLOUT):
            data = data[os.write(self._descriptor, data) :]

    def _pause_until(self, moment: float) -> None:
        left = moment - time.monotonic()
        if left > 0:
            select.select([self._woken], [], [], left)

    def _wait(self, descriptor: int, event: int) -> bool:
        """Whether the descriptor is ready, and not the word to stop."""
        poll = select.poll()
        poll.register(descriptor, event)
        poll.register(self._woken, select.POLLIN)
        return self._woken not in dict(poll.poll())
