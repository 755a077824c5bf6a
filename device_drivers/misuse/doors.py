"""TLS to the gateway and to our own receive endpoint in anybody's name, and HTTP as it should not be."""

from __future__ import annotations

import http.client
import socket
import ssl
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from device_drivers.dcc.http import XML, HttpClient
from device_drivers.dcc.identities import named_identities, simulated_identities, simulated_pki
from device_drivers.dcc.pki import server_context, stranger
from harness.domain.errors import BeyondLab, LinkLost, UsageError
from harness.domain.lab import Lab
from harness.domain.misuse import HttpAnswer

_PATIENCE: Final = 10.0  # seconds
_QUIET: Final = 1.0
_ENDS: Final = {"gateway": "user", "receive": "gateway"}  # door → whose certificate it takes
_WEAKEST: Final = "@SECLEVEL=0"


class Doors:
    """The two doors of the DCC link. ``gateway`` and ``receive`` are base URLs."""

    def __init__(self, lab: Lab, gateway: str, receive: str) -> None:
        self._lab = lab
        self._addresses = {"gateway": gateway, "receive": receive}
        self._simulated = lab.dcc.gateway == "simulated"

    def post(
        self,
        door: str,
        path: str,
        content: bytes,
        *,
        method: str,
        headers: Mapping[str, str],
        tls: str = "own",
    ) -> HttpAnswer:
        """One HTTP request; an answer of status 0 where the other end hung up."""
        host, port, secure = self._where(door)
        connection = (
            http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=self._context(door, tls))
            if secure
            else http.client.HTTPConnection(host, port, timeout=_PATIENCE)
        )
        try:
            self._reached(door)
            connection.request(method, path, content or None, {"Content-Type": XML, **headers})
            answer = connection.getresponse()
            return HttpAnswer(answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            return HttpAnswer(0)
        finally:
            connection.close()

    def talk(self, content: bytes) -> bytes:
        """Bytes to the gateway, and all that comes until it hangs up or is quiet."""
        received = bytearray()
        with self._connected("gateway") as connection, suppress(OSError):
            connection.sendall(content)
            connection.settimeout(_QUIET)
            while piece := connection.recv(65_536):
                received += piece
        return bytes(received)

    @contextmanager
    def loiter(self, content: bytes, connections: int) -> Iterator[None]:
        """Connections that have begun a request."""
        with ExitStack() as held:
            for _ in range(connections):
                held.enter_context(self._connected("gateway")).sendall(content)
            yield

    def shake_hands(self, door: str, certificate: str, version: str, ciphers: str) -> str:
        """Why TLS did not come about, or nothing: see :meth:`Adversary.shake_hands`."""
        host, port, secure = self._where(door)
        if not secure:
            raise BeyondLab(f"the lab's {door} is reached without TLS", remedy="name https")
        self._reached(door)
        context = self._context(door, certificate)
        _weaken(context, version, ciphers)
        try:
            with (
                socket.create_connection((host, port), _PATIENCE) as plain,
                context.wrap_socket(plain, server_hostname=host) as connection,
            ):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return "" if connection.recv(1) else "it hung up without a word"
        except OSError as error:  # ssl.SSLError is one
            return getattr(error, "reason", "") or str(error)

    def pose_as_gateway(self, certificate: str) -> str:
        """Stand as a gateway with such a certificate, and let our own user come."""
        ours = (simulated_identities if self._simulated else named_identities)(self._lab).to_gateway
        if ours is None:
            raise BeyondLab("the lab's gateway is reached without TLS", remedy="name https")
        with ExitStack() as held:
            impostor = held.enter_context(_impostor(server_context(*self._files(certificate, held), None)))
            client = HttpClient(f"https://{impostor}", "an impostor", tls=ours, timeout=_PATIENCE)
            held.callback(client.close)
            try:
                client.call("POST", "/api/v1/serviceS", content=b"<a/>")
            except LinkLost as lost:
                return lost.message
            return ""

    def _where(self, door: str) -> tuple[str, int, bool]:
        if door not in self._addresses:
            raise UsageError(f"no door is called {door!r}", remedy="gateway or receive")
        url = urlsplit(self._addresses[door])
        secure = url.scheme == "https"
        return url.hostname or "", url.port or (443 if secure else 80), secure

    def _reached(self, door: str) -> None:
        """Return if somebody listens there; a door that nobody keeps is the lab's fault, and no refusal."""
        host, port, _ = self._where(door)
        try:
            socket.create_connection((host, port), _PATIENCE).close()
        except OSError as error:
            raise LinkLost(f"nobody listens at the {door}, {host}:{port}: {error}") from error

    @contextmanager
    def _connected(self, door: str) -> Iterator[socket.socket]:
        host, port, secure = self._where(door)
        self._reached(door)
        with socket.create_connection((host, port), _PATIENCE) as plain:
            if not secure:
                yield plain
                return
            with self._context(door, "own").wrap_socket(plain, server_hostname=host) as connection:
                yield connection

    def _context(self, door: str, certificate: str) -> ssl.SSLContext:
        """A client who does not care whom it speaks to."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with ExitStack() as held:
            if certificate != "none":
                context.load_cert_chain(*self._files(certificate, held, _ENDS[door]))
        return context

    def _files(self, certificate: str, held: ExitStack, end: str = "gateway") -> tuple[Path, Path]:
        """Files of certificate and key; temporary ones go with ``held``."""
        if self._simulated:
            pki = simulated_pki(self._lab)
            return pki.tls(end) if certificate == "own" else pki.tls_misfit(certificate)
        if certificate not in {"own", "stranger"}:
            raise BeyondLab(
                f"this lab has no TLS certificate that is {certificate}", remedy="only a simulated lab has"
            )
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        files = folder / "certificate", folder / "key"
        for file, content in zip(files, self._pair(certificate), strict=True):
            file.touch(mode=0o600)
            file.write_bytes(content)
        return files

    def _pair(self, certificate: str) -> tuple[bytes, bytes]:
        if certificate == "stranger":
            pair = stranger(tls=True)
            return pair.certificate, pair.key
        from device_drivers.secrets import resolve

        base, tls = self._lab.file.parent, self._lab.dcc.tls
        return resolve(tls["certificate"], base=base), resolve(tls["key"], base=base)


def _weaken(context: ssl.SSLContext, version: str, ciphers: str) -> None:
    """Offer only that version, or only those suites: an offer that a door should not take."""
    if version:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it is old: that is what it is offered for
            context.minimum_version = context.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    if ciphers:
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose suites can be chosen
    if version or ciphers:
        context.set_ciphers(f"{ciphers or 'ALL'}:{_WEAKEST}")


@contextmanager
def _impostor(context: ssl.SSLContext) -> Iterator[str]:
    """``host:port`` of a TLS server that answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def meet() -> None:
            with suppress(OSError):
                plain, _ = listener.accept()
                with plain, context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65_536)

        thread = threading.Thread(target=meet, name="impostor", daemon=True)
        thread.start()
        host, port = listener.getsockname()[:2]
        yield f"{host}:{port}"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@dataclass(slots=True)
class HttpTrap:
    """Implements :class:`~harness.domain.misuse.Trap`."""

    url: str
    file: str
    visits: int = 0


@contextmanager
def trap(bait: str) -> Iterator[HttpTrap]:
    """An HTTP server and a file that hold the bait, for as long as somebody may take it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bait"
        path.write_text(bait)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                laid.visits += 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(bait.encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
                """Nothing is written to standard error."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            laid = HttpTrap(f"http://127.0.0.1:{server.server_port}/bait", path.as_uri())
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="trap", daemon=True)
            thread.start()
            try:
                yield laid
            finally:
                server.shutdown()
                thread.join()
