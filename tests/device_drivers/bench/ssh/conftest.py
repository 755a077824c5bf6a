"""A real sshd on the loopback, and controllers signed on to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_drivers.bench.ssh.controller import SshController
from device_drivers.simulated.controller import TwinController
from tests.device_drivers.bench.ssh.house import Kept

Open = Callable[..., SshController]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the controller's sessions begin in."""
    return tmp_path_factory.mktemp("controller")


@pytest.fixture(scope="session")
def twin(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwinController]:
    if not shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
        pytest.skip("there is no sshd on this computer: install openssh-server")
    with TwinController(tmp_path_factory.mktemp("sshd"), home) as twin:
        yield twin


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def open_it(twin: TwinController, kept: Kept) -> Iterator[Open]:
    """Opens a controller, with other settings if told; closes it."""
    with ExitStack() as held:

        def open_controller(**changed: Any) -> SshController:
            controller = SshController(replace(twin.settings, **changed), kept)
            held.callback(controller.close)
            return controller

        yield open_controller


@pytest.fixture
def controller(leaving_nothing: None, open_it: Open) -> SshController:
    return open_it()
