from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from device_drivers.bench.ssh.commands import RemoteCommand
from device_drivers.bench.ssh.controller import SshController
from device_drivers.simulated.controller import TwinController
from harness.domain.errors import ControllerFault, TransportLost
from tests.device_drivers.bench.ssh.house import PATIENCE, Kept, frozen, lives, soon, tell_sessions

Open = Callable[..., SshController]
LONG = timedelta(seconds=60)
SHORT = timedelta(seconds=0.3)
LATE = timedelta(seconds=1)  # long enough to begin on a busy machine


def pids(path: Path, count: int) -> list[int]:
    """The process ids that a command has written into a file."""
    soon(lambda: path.exists() and len(path.read_text().split()) == count, "the command has not begun")
    return [int(word) for word in path.read_text().split()]


def test_a_command_gives_both_streams_and_its_status(controller: SshController, kept: Kept) -> None:
    result = controller.run("echo out; echo error >&2; exit 3")
    assert (result.output, result.errors, result.status) == (b"out\n", b"error\n", 3)
    assert result.command == "echo out; echo error >&2; exit 3"
    (told,) = kept.told("ran echo out")
    assert (told["status"], told["output_bytes"], told["error_bytes"]) == (3, 4, 6)


@pytest.mark.parametrize(
    ("command", "status"),
    [("true", 0), ("exit 255", 255), ("no-such-program", 127), ("kill -9 $$", 137), ("kill -TERM $$", 143)],
)
def test_the_exit_status_is_that_of_a_shell(controller: SshController, command: str, status: int) -> None:
    assert controller.run(command).status == status


def test_a_command_is_taken_as_it_is_written(controller: SshController) -> None:
    assert controller.run("""printf '%s|' "a  b" '$HOME' "it's" é
echo 'two lines'""").output == ("a  b|$HOME|it's|é|two lines\n".encode())


def test_a_command_reads_nothing(controller: SshController) -> None:
    assert controller.run("cat; echo over").output == b"over\n"


def test_three_megabytes_of_errors_before_the_first_output_do_not_block(controller: SshController) -> None:
    result = controller.run("head -c 3000000 /dev/zero | tr '\\0' e >&2; echo out")
    assert result.errors == b"e" * 3_000_000
    assert result.output == b"out\n"


def test_a_stream_is_kept_up_to_its_limit_and_says_what_was_left_out(
    controller: SshController, leaving_nothing: None
) -> None:
    running = RemoteCommand(
        controller._connected(), "head -c 100000 /dev/zero; echo few >&2", PATIENCE, most_kept=1000
    )
    result = running.wait(within=LONG)
    assert result.output == bytes(1000) + b"\n[cut here: 99000 further bytes]\n"
    assert result.errors == b"few\n"
    assert result.status == 0


def test_a_late_command_is_ended_with_all_that_it_started(controller: SshController, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    with pytest.raises(ControllerFault, match=r"had not ended after 1 s, and was made to: it waits"):
        controller.run(
            f"sh -c 'sleep 300 & sleep 300 & echo $! $$ >{note}; echo it waits >&2; wait'", within=LATE
        )
    assert not [pid for pid in pids(note, 2) if lives(pid)]
    assert controller.run("echo here").output == b"here\n"


def test_a_command_that_ignores_being_told_is_killed(controller: SshController, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    with pytest.raises(ControllerFault, match="had not ended"):
        controller.run(f"trap '' TERM; echo $$ >{note}; while :; do sleep 1; done", within=LATE)
    assert not lives(pids(note, 1)[0])


@pytest.mark.parametrize("streams", ["", ">/dev/null 2>&1"], ids=["on the same streams", "on none"])
def test_what_a_command_leaves_in_the_background_ends_with_it(
    controller: SshController, tmp_path: Path, streams: str
) -> None:
    note = tmp_path / "pids"
    assert controller.run(f"sleep 300 {streams} & echo $! >{note}; echo begun").output == b"begun\n"
    soon(lambda: not lives(pids(note, 1)[0]), "it outlives the command")


def test_what_leaves_its_group_and_holds_the_streams_cannot_be_ended_and_it_says_so(
    controller: SshController, tmp_path: Path
) -> None:
    note = tmp_path / "pids"
    with pytest.raises(ControllerFault, match=r"cannot be ended .*may have left its process group"):
        controller.run(f"setsid sh -c 'echo $$ >{note}; sleep 300' & sleep 300", within=LATE)
    os.killpg(pids(note, 1)[0], signal.SIGKILL)
    assert controller.run("echo here").output == b"here\n"


def test_a_started_command_is_ready_when_it_says_so(controller: SshController) -> None:
    running = controller.start("echo listening on port 7 >&2; exec sleep 300")
    running.ready("listening on", within=LONG)
    result = running.stop(within=LONG)
    assert (result.status, result.errors) == (143, b"listening on port 7\n")


def test_a_stopped_command_may_finish_what_it_does(controller: SshController) -> None:
    running = controller.start("trap 'echo tidy; exit 5' TERM; echo ready >&2; while :; do sleep 0.01; done")
    running.ready("ready", within=LONG)
    result = running.stop(within=LONG)
    assert result.output == b"tidy\n"


def test_stopping_what_has_ended_tells_how_it_ended(controller: SshController) -> None:
    running = controller.start("echo over >&2; exit 4")
    running.ready("over", within=LONG)
    assert running.wait(within=LONG).status == 4
    assert running.stop(within=LONG).status == 4


def test_a_started_command_that_ends_before_it_is_ready_says_why(controller: SshController) -> None:
    running = controller.start("echo no such device >&2; exit 1")
    with pytest.raises(ControllerFault, match="ended with status 1 before it was ready: no such device"):
        running.ready("listening", within=LONG)


def test_a_started_command_that_is_never_ready_is_ended(controller: SshController, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    running = controller.start(f"echo $$ >{note}; echo hm >&2; sleep 300")
    (pid,) = pids(note, 1)
    with pytest.raises(ControllerFault, match=r"was not ready within 0.3 s: hm"):
        running.ready("listening", within=SHORT)
    assert not lives(pid)


def test_what_still_runs_when_the_controller_is_closed_is_ended(
    open_it: Open, tmp_path: Path, leaving_nothing: None
) -> None:
    controller = open_it()
    note = tmp_path / "pids"
    controller.start(f"echo $$ >{note}; sleep 300")
    (pid,) = pids(note, 1)
    controller.close()
    soon(lambda: not lives(pid), "it outlives the connection")
    controller.close()
    with pytest.raises(ControllerFault, match="used after it was closed"):
        controller.run("true")


def test_several_threads_may_use_it_at_once(controller: SshController) -> None:
    heard: dict[int, bytes] = {}

    def ask(number: int) -> None:
        heard[number] = controller.run(f"sleep 0.05; echo {number}").output

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {number: f"{number}\n".encode() for number in range(8)}


def test_a_connection_dropped_in_a_command_is_a_lost_transport(
    controller: SshController, twin: TwinController, tmp_path: Path
) -> None:
    note = tmp_path / "pids"
    running = controller.start(f"echo $$ >{note}; sleep 300")
    (pid,) = pids(note, 1)
    tell_sessions(twin, signal.SIGKILL)
    with pytest.raises(TransportLost, match="the connection was lost"):
        running.wait(within=LONG)
    soon(lambda: not lives(pid), "the command outlives its connection")


def test_after_a_lost_connection_the_next_use_connects_anew(
    controller: SshController, twin: TwinController, kept: Kept
) -> None:
    controller.run("true")
    tell_sessions(twin, signal.SIGKILL)
    soon(lambda: not controller._connected().alive() or len(kept.told("signed on")) == 2, "nobody noticed")
    assert controller.run("echo here").output == b"here\n"
    assert len(kept.told("signed on")) == 2


def test_a_peer_that_freezes_in_a_command_is_noticed_at_the_commands_deadline(
    open_it: Open, twin: TwinController, leaving_nothing: None
) -> None:
    controller = open_it(connect=2.0)
    running = controller.start("echo ready >&2; sleep 300")
    running.ready("ready", within=LONG)
    told = "asked whether it is there: no answer within 1 s"
    with frozen(twin), pytest.raises(TransportLost, match=told):
        running.wait(within=SHORT)
    controller.close()


def test_a_peer_that_freezes_between_commands_is_noticed_by_the_next(
    open_it: Open, twin: TwinController, leaving_nothing: None
) -> None:
    controller = open_it(connect=2.0)
    controller.run("true")
    with frozen(twin), pytest.raises(TransportLost, match="starting command 'true': no answer within 2 s"):
        controller.run("true")
    assert controller.run("echo here").output == b"here\n"
    controller.close()


def test_a_controller_with_a_frozen_peer_can_still_be_closed(
    open_it: Open, twin: TwinController, leaving_nothing: None
) -> None:
    controller = open_it(connect=2.0)
    controller.start("sleep 300")
    with frozen(twin):
        controller.close()
