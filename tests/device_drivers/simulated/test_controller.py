from __future__ import annotations

import shlex
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from device_drivers.bench.ssh.controller import SshController
from device_drivers.simulated.controller import TwinController
from harness.domain.errors import ConfigurationError
from tests.device_drivers.bench.ssh.house import Kept, below, lives, soon, tell_sessions

pytestmark = pytest.mark.skipif(
    not shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin"),
    reason="there is no sshd on this computer: install openssh-server",
)


def pids(result_output: bytes) -> list[int]:
    return [int(word) for word in result_output.split()]


def listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def test_its_sessions_begin_in_its_folder_and_read_no_start_up_file(tmp_path: Path) -> None:
    (home := tmp_path / "home").mkdir()
    (home / ".bashrc").write_text("echo start-up file\n")
    (home / "noted.txt").write_text("17")
    with TwinController(tmp_path / "state", home) as twin, ExitStack() as held:
        controller = SshController(twin.settings, Kept())
        held.callback(controller.close)
        assert controller.run("echo $HOME; cat ~/noted.txt").output.decode() == f"{home}\n17"
        assert controller.fetch("noted.txt") == b"17"
        assert "Accepted publickey" in twin.log


def test_two_of_them_stand_side_by_side_and_each_pins_its_own_key(tmp_path: Path) -> None:
    with TwinController(tmp_path / "a", tmp_path) as one, TwinController(tmp_path / "a", tmp_path) as other:
        assert one.settings.port != other.settings.port
        known = [Path(twin.settings.known_hosts.removeprefix("file:")).read_text() for twin in (one, other)]
        assert known[0].split()[2] != known[1].split()[2]


def test_when_it_closes_nothing_of_it_is_left_even_with_guests(tmp_path: Path, leaving_nothing: None) -> None:
    with ExitStack() as held:
        twin = held.enter_context(TwinController(tmp_path / "state", tmp_path))
        controller = SshController(twin.settings, Kept())
        held.callback(controller.close)
        controller.start("sleep 300")
        daemon = pids(controller.run("setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $!").output)
        assert twin._keeper is not None
        everything = [*below(twin._keeper.pid), *daemon]
        tell_sessions(twin, signal.SIGSTOP)
        twin.close()
    assert not [pid for pid in everything if lives(pid)]
    assert not listens(twin.settings.port)
    assert not list((tmp_path / "state").iterdir())
    twin.close()


def test_it_ends_with_the_process_that_made_it_however_that_ends(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from device_drivers.simulated.controller import TwinController\n"
        "twin = TwinController(Path(sys.argv[1]), Path(sys.argv[1]))\n"
        "print(twin.settings.port, twin._keeper.pid, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        (sys.executable, "-c", script, str(tmp_path)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as maker:
        assert maker.stdout is not None
        port, keeper = pids(maker.stdout.readline())
        made = [keeper, *below(keeper)]
        assert listens(port)
        maker.kill()
    soon(lambda: not any(lives(pid) for pid in made), "the sshd outlives who made it")
    assert not listens(port)


def test_without_an_sshd_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("device_drivers.simulated.controller._PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"there is none on this computer .*openssh-server"):
        TwinController(tmp_path / "state", tmp_path)


def test_an_sshd_that_does_not_start_tells_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaving_nothing: None
) -> None:
    broken = tmp_path / "sshd"
    broken.write_text(f"#!/bin/sh\necho {shlex.quote('no such thing as a key')} >&2; exit 255\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ConfigurationError, match="did not start: no such thing as a key"):
        TwinController(tmp_path / "state", tmp_path)
    assert not list((tmp_path / "state").iterdir())
