from __future__ import annotations

import os
import pty
import struct
import subprocess
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pytest

from tests.harness.cli.physical import CONFIG, HARNESS, REPO, with_paths


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A state folder of the test's own, and no lab that the user's shell names."""
    plain = {name: value for name, value in os.environ.items() if name not in {"HARNESS_LAB", "COLUMNS"}}
    return plain | {"HARNESS_STATE": str(tmp_path / "state"), "TERM": "xterm"}


@pytest.fixture
def harness(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command of the harness in the repository, and wait for it."""

    def run(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*HARNESS, *map(str, arguments)],
            cwd=REPO,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def on_a_terminal(environment: dict[str, str]) -> Callable[..., str]:
    """Run a program on a terminal of that many columns; what it shows."""

    def run(*command: str, columns: int = 80) -> str:
        ours, theirs = pty.openpty()
        ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            command, cwd=REPO, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:  # how Linux says that nobody holds the other end any more
            pass
        os.close(ours)
        process.wait(timeout=10)
        return shown.decode()

    return run


@pytest.fixture
def lab_file(tmp_path: Path) -> Path:
    """A copy of the simulated lab's file, for a test to change; its data files stay where they are."""
    path = tmp_path / "lab.yaml"
    path.write_text(with_paths((CONFIG / "simulated.yaml").read_text()))
    return path
