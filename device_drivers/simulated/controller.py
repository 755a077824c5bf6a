"""The twin of a rig's controller: OpenSSH's own sshd on the loopback, in front of a folder.

Only who runs the harness may sign on, with a key made for this sshd alone. Its sessions do not read the
user's start-up files, and their home is the folder.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from harness.domain.errors import ConfigurationError
from harness.domain.lab import Controller

_HOST: Final = "127.0.0.1"
_START: Final = 10.0  # seconds in which sshd must greet
_STOP: Final = 10.0
_MARK: Final = "HARNESS_TWIN_CONTROLLER"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PRIVILEGE_SEPARATION: Final = Path("/run/sshd")  # sshd wants it when it runs as root

# Its standard input is ours: when that ends, because of close() or because this process is no more, sshd
# ends, and with it its sessions, frozen ones too, and whatever they left behind: that carries the mark in its
# environment.
_KEEPER: Final = (
    "below() { for child in $(cat /proc/$1/task/*/children); do echo $child; below $child; done; }; "
    '"$@" </dev/null & sshd=$!; read -r _; exec 2>/dev/null; '
    "kill -STOP $sshd; kill -KILL $sshd $(below $sshd); wait $sshd; "
    "for process in /proc/[0-9]*; do "
    f'grep -qs "{_MARK}=$MARK" "$process/environ" && kill -KILL "${{process#/proc/}}"; '
    "done"
)

# Who was refused a few times is not kept waiting: OpenSSH does so from 9.8 on.
_NO_PENALTIES_OPTION: Final = "PerSourcePenalties"
_NO_PENALTIES: Final = ("-o", f"{_NO_PENALTIES_OPTION}=no")

_CONFIGURATION: Final = """\
ListenAddress {host}:{port}
HostKey {state}/host_key
AuthorizedKeysFile {state}/client_key.pub
AllowUsers {user}
AuthenticationMethods publickey
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
PidFile none
LoginGraceTime 20
MaxSessions 64
MaxStartups 64
AllowTcpForwarding local
AllowAgentForwarding no
AllowStreamLocalForwarding no
X11Forwarding no
PermitTunnel no
PermitTTY no
PermitUserRC no
PermitUserEnvironment no
PrintMotd no
PrintLastLog no
LogLevel VERBOSE
SetEnv HOME={home} SHLVL=2 {mark}={token}
Subsystem sftp internal-sftp -d {home}
"""


class TwinController:
    """A real sshd in front of ``home``; ``state`` is where its private folder is made.

    :attr:`settings` is what a lab file would say of it. Raises :class:`ConfigurationError` where there is no
    sshd, or it does not start.

    Life cycle: create (it listens), ``close``. It ends with this process too, however that ends.
    """

    def __init__(self, state: Path, home: Path) -> None:
        sshd = _sshd()
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        home.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="sshd-", dir=state.resolve()))
        self._keeper: subprocess.Popen[bytes] | None = None
        try:
            with socket.socket() as reserved:
                # Bound and not listening, it keeps the port from others until sshd has it
                reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                reserved.bind((_HOST, 0))
                self.settings = self._describe(reserved.getsockname()[1])
                self._start(sshd, home)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def log(self) -> str:
        """What sshd has written so far."""
        log = self._folder / "log"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    def close(self) -> None:
        """End sshd, its sessions and what they started; closing twice is fine."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()
            try:
                self._keeper.wait(_STOP)
            except subprocess.TimeoutExpired:
                self._keeper.kill()
                self._keeper.wait()
            self._keeper = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _describe(self, port: int) -> Controller:
        """Make the keys, and say what a lab file would say."""
        _make_key(self._folder / "client_key")
        pinned = f"[{_HOST}]:{port} {_make_key(self._folder / 'host_key')}\n"
        (self._folder / "known_hosts").write_text(pinned)
        return Controller(
            host=_HOST,
            port=port,
            user=getpass.getuser(),
            key=f"file:{self._folder / 'client_key'}",
            known_hosts=f"file:{self._folder / 'known_hosts'}",
        )

    def _start(self, sshd: str, home: Path) -> None:
        token = secrets.token_hex(8)
        configuration = self._folder / "sshd_config"
        configuration.write_text(
            _CONFIGURATION.format(
                host=_HOST, port=self.settings.port, state=self._folder, user=self.settings.user,
                home=home.resolve(), mark=_MARK, token=token,
            )
        )  # fmt: skip
        if os.geteuid() == 0:
            with suppress(OSError):  # sshd itself says what is wrong
                _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        command: tuple[str, ...] = (sshd, "-D", "-e", "-f", str(configuration))
        if complaint := _complaint((*command, *_NO_PENALTIES)):
            if _NO_PENALTIES_OPTION in complaint:  # it is older than they are
                complaint = _complaint(command)
            if complaint:
                raise self._not_started(complaint)
        else:
            command += _NO_PENALTIES
        with (self._folder / "log").open("wb") as log:
            self._keeper = subprocess.Popen(  # noqa: S603 - this computer's own sshd
                ("/bin/sh", "-c", _KEEPER, "sh", *command),
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                env={"PATH": _PATH, "MARK": token},
            )  # fmt: skip
        self._greeted(time.monotonic() + _START)

    def _greeted(self, deadline: float) -> None:
        """Wait until sshd greets whoever connects."""
        pause = 0.002
        while time.monotonic() < deadline:
            try:
                with socket.create_connection((_HOST, self.settings.port), _START) as caller:
                    if caller.recv(4) == b"SSH-":
                        return
            except OSError:  # not yet
                time.sleep(pause)
                pause = min(pause * 1.5, 0.05)
        raise self._not_started(self.log)

    def _not_started(self, said: str) -> ConfigurationError:
        return ConfigurationError(
            f"the twin of the rig's controller, an sshd, did not start: {said.strip() or 'it said nothing'}",
            remedy="correct what sshd complains of; as root it needs the folder /run/sshd",
        )


def _complaint(command: tuple[str, ...]) -> str:
    """What sshd says against its configuration; empty where it takes it."""
    check = subprocess.run(  # noqa: S603 - this computer's own sshd
        (*command, "-t"), capture_output=True, text=True, timeout=_START, check=False
    )
    return check.stderr.strip() or "it said nothing" if check.returncode else ""


def _sshd() -> str:
    """Sshd by its whole path, as it demands to be called."""
    if found := shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:{_PATH}"):
        return str(Path(found).resolve())
    raise ConfigurationError(
        "the twin of the rig's controller is OpenSSH's sshd, and there is none on this computer",
        remedy="install openssh-server (it need not be enabled), or take the controller out of the rig",
    )


def _make_key(path: Path) -> str:
    """A fresh Ed25519 key at ``path``, and its public half beside it and returned."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.touch(mode=0o600)
    path.write_bytes(private)
    path.with_name(f"{path.name}.pub").write_bytes(public + b"\n")
    return public.decode()
