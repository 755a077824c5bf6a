"""The tools that capture: tcpdump and dumpcap, how each is told what to do, and what it says of trouble."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.domain.errors import CaptureUnavailable
from harness.domain.lab import CaptureLine

MOST_BYTES: Final = 64 << 20
"""How large a capture file may become: at that the recording ends, and says that it was cut."""
MORE_PLACES: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"
"""Where tools are looked for beside the PATH, which of an ordinary user lacks the folders of their kind."""
WORDS_LIMIT: Final = 4096  # of what a tool says, kept for a message
_FILE_UNIT: Final = 512  # bytes: POSIX, ulimit -f
_TOO_LARGE: Final = (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)

# The tool takes the place of its shell. Beside it something waits until standard input ends: because the
# recording is over, or because whoever started it has died or lost the connection. Then the tool has a
# moment for what it has not written yet, and is told to stop.
_SCRIPT: Final = """\
{limit}
exec 3<&0 </dev/null
{{ read -r _ <&3; sleep {rest}; kill -TERM $$; }} >/dev/null 2>&1 &
exec "$@" 3<&-"""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that captures. ``rest`` is how long it may take, in seconds, to write down what it heard."""

    name: str
    options: tuple[str, ...]
    listens: str  # what it says once nothing more escapes it
    filter_option: tuple[str, ...]
    rest: float

    def command(self, line: CaptureLine, most_bytes: int = MOST_BYTES, program: str = "") -> tuple[str, ...]:
        """Captures the line onto standard output, until standard input ends."""
        script = _SCRIPT.format(limit=self.limit(most_bytes), rest=self.rest)
        return ("/bin/sh", "-c", script, self.name, *self.arguments(line, program))

    def arguments(self, line: CaptureLine, program: str = "") -> tuple[str, ...]:
        """The program and what it is told: capture the line onto standard output."""
        filtered = (*self.filter_option, line.filter) if line.filter else ()
        return (program or self.name, "-i", line.interface, *self.options, "-w", "-", *filtered)

    @staticmethod
    def limit(most_bytes: int) -> str:
        """A line of shell: no file of what follows becomes larger."""
        return f"ulimit -f {-(-most_bytes // _FILE_UNIT)}"

    def is_listening(self, said: str) -> bool:
        """Whether what the program said means that it listens."""
        return self.listens in said


# To be told of each frame at once costs tcpdump's buffer a slot of the largest size for every frame: of its
# usual ones, the usual buffer has eight. So: frames of up to 64 KiB with their headers, and 32 MiB.
_AT_ONCE: Final = ("-U", "--immediate-mode", "-s", "70000", "-B", "32768")

TOOLS: Final = {
    tool.name: tool
    for tool in (
        Tool("dumpcap", ("-q", "-n"), "File: ", ("-f",), 0.5),
        Tool("tcpdump", ("-n", *_AT_ONCE), "listening on ", ("--",), 0.2),
    )
}
"""By name, the one that is preferred first: dumpcap is the one that ordinary users are given."""


def candidates(line: CaptureLine) -> Sequence[Tool]:
    """The tools that may capture a line."""
    return [TOOLS[line.tool]] if line.tool else list(TOOLS.values())


def missing(line: CaptureLine, where: str) -> CaptureUnavailable:
    """No tool is there."""
    names = " or ".join(tool.name for tool in candidates(line))
    package = "wireshark-common, which brings dumpcap" if line.tool == "dumpcap" else "tcpdump"
    return CaptureUnavailable(
        f"{where}: no {names} to capture {line.interface} with",
        remedy=f"install {package}, or name another tool under the rig's captures",
    )


def was_too_large(status: int | None) -> bool:
    """Whether a tool ended because its file reached the limit."""
    return status in _TOO_LARGE


def lost_frames(said: str) -> int:
    """How many frames the tool had to let go, by its own count."""
    told = re.search(r"(\d+) packets? dropped by kernel", said)
    counted = re.search(r"received/dropped on interface .*: \d+/(\d+)", said)
    return sum(int(match[1]) for match in (told, counted) if match)


def trouble(tool: Tool, line: CaptureLine, where: str, said: str) -> CaptureUnavailable:
    """What a tool's last words mean, with what to do about it."""
    words = " ".join(said.split())[:300] or "it says nothing"
    for pattern, what, remedy in _TROUBLES:
        if re.search(pattern, said, re.IGNORECASE):
            named = what.format(interface=line.interface, filter=line.filter)
            return CaptureUnavailable(
                f"{where}: {tool.name} {named}: {words}", remedy=remedy.format(tool=tool.name)
            )
    return CaptureUnavailable(
        f"{where}: {tool.name} does not capture {line.interface}: {words}",
        remedy=f"run {tool.name} by hand there",
    )


_TROUBLES: Final = (
    (
        r"no such device|no device named|is not up|doesn't exist",
        "finds no interface {interface}",
        "correct the interface under the rig's captures; `{tool} -D` lists those that there are",
    ),
    (
        r"permission|operation not permitted|not allowed",
        "may not capture {interface}",
        'allow it once: sudo setcap cap_net_raw,cap_net_admin=eip "$(command -v {tool})"',
    ),
    (
        r"filter expression|capture filter|syntax error|unknown host|can't parse",
        "does not understand the filter {filter!r}",
        "correct the filter under the rig's captures; `man pcap-filter` has its language",
    ),
)
