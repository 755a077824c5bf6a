"""A PostgreSQL server of one's own, on loopback, gone when done with."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_VERSIONS = Path("/usr/lib/postgresql")  # where Debian puts the servers; they are not on the path
_ACCOUNT = "postgres"


def server_binaries() -> Path | None:
    """The folder of the newest server's programs, or ``None`` where none is installed."""
    found = sorted(_VERSIONS.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    there = shutil.which("postgres")
    return Path(there).resolve().parent if there else None


class Cluster:
    """A server that runs. ``restart`` as one that crashed if so wished: what was committed is there again."""

    def __init__(self, binaries: Path, folder: Path, *, fsync: bool) -> None:
        self._binaries = binaries
        self._folder = folder
        # The server refuses to be root's.
        self._account = {"user": _ACCOUNT, "group": _ACCOUNT, "extra_groups": []} if os.geteuid() == 0 else {}
        if self._account:
            owner = pwd.getpwnam(_ACCOUNT)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._call("initdb", "--no-sync", "--auth=trust", "--username=lab", "--encoding=UTF8", "--locale=C")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        settings = (f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}")
        settings += (f"fsync={'on' if fsync else 'off'}", "max_connections=100")
        (folder / "settings").write_text(" ".join(f"-c {each}" for each in settings))
        self.start()

    def start(self) -> None:
        """Returns when it takes connections."""
        settings = (self._folder / "settings").read_text()
        self._call("pg_ctl", "start", "--wait", f"--log={self._folder}/log", f"--options={settings}")

    def stop(self, mode: str = "fast") -> None:
        """``immediate`` is a crash."""
        self._call("pg_ctl", "stop", "--wait", f"--mode={mode}")

    @property
    def url(self) -> str:
        """Of its only database."""
        return f"postgresql://lab@127.0.0.1:{self.port}/postgres"

    def empty(self) -> str:
        """Forget everything; the URL."""
        statement = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        psql = [self._binaries / "psql", "--quiet", f"--dbname={self.url}", f"--command={statement}"]
        subprocess.run(psql, check=True, capture_output=True)
        return self.url

    def _call(self, program: str, *arguments: str) -> None:
        command = [self._binaries / program, f"--pgdata={self._folder}/data", *arguments]
        done = subprocess.run(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            **self._account,  # type: ignore[call-overload]
        )
        if done.returncode:
            log = self._folder / "log"
            raise RuntimeError(f"{program} failed: {log.read_text() if log.exists() else ''}")


@contextlib.contextmanager
def cluster(binaries: Path, *, fsync: bool = False) -> Iterator[Cluster]:
    """A server in a folder of its own, which its account can reach; without ``fsync`` it is quicker."""
    with tempfile.TemporaryDirectory(
        prefix="lab-postgresql-", dir="/tmp", ignore_cleanup_errors=True
    ) as name:
        server = Cluster(binaries, Path(name), fsync=fsync)
        try:
            yield server
        finally:
            server.stop("immediate")
