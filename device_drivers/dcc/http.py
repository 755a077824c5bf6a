"""HTTP as the DCC interface uses it: servers in a thread, bounded bodies, clients that tell a lost link."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from harness.domain.errors import ConfigurationError, LinkLost

BODY_LIMIT: Final = 16 << 20  # bytes, after decompression: the schema allows a firmware image of 10 MB
PATIENCE: Final = 60.0  # seconds in which a body must have come, however slowly it is sent
XML: Final = "application/xml"
PLAIN: Final = "text/plain"
_SERVER_KEEP_ALIVE: Final = 75  # seconds; a server never hangs up on a connection that its client may use
_CLIENT_KEEP_ALIVE: Final = 2.0

Application = Callable[[Any, Any, Any], Awaitable[None]]


class _Server(uvicorn.Server):
    """A uvicorn server that says when it listens, and stops when told instead of looking now and then."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.listening.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):  # whose peers do not answer TLS's goodbye
            connection.transport.abort()
        await asyncio.sleep(0)  # the loop lets go of them

    def stop(self) -> None:
        """From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told.set)


class HttpServer:
    """An ASGI application served on a thread of its own from the moment it is made until :meth:`close`."""

    def __init__(
        self,
        application: Application,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        try:
            self._socket = _bound(host, port)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error.strerror}",
                remedy="another run may hold the port; end it, or name another",
            ) from None
        self.host, self.port = self._socket.getsockname()[:2]
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http="h11",
            loop="asyncio",
            timeout_keep_alive=_SERVER_KEEP_ALIVE,
            timeout_graceful_shutdown=2,
            server_header=False,
            ssl_context_factory=None if tls is None else lambda *_: tls,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name=f"http-{self.port}", daemon=True
        )
        self._thread.start()
        if not self._server.listening.wait(10):
            raise LinkLost(f"the HTTP server on {host}:{self.port} did not start")

    def stop(self) -> None:
        """Begin to stop, without waiting."""
        self._server.stop()

    def close(self) -> None:
        """Stop serving and wait for the thread to end; closing twice is fine."""
        self.stop()
        self._thread.join()
        self._socket.close()


def _bound(host: str, port: int) -> socket.socket:
    listening = socket.create_server((host, port))
    # asyncio turns Nagle's delay off (40 ms an answer) only on sockets that say that they are TCP
    return socket.socket(listening.family, listening.type, socket.IPPROTO_TCP, listening.detach())


class BodyRefused(Exception):
    """A request body is too large or wrongly compressed; ``status`` is the HTTP status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def read_body(request: Request, limit: int = BODY_LIMIT, patience: float = PATIENCE) -> bytes:
    """The request's body, decompressed; :class:`BodyRefused` once it is too large or takes too long."""
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise BodyRefused(413, f"the body is larger than {limit} bytes")
    except TimeoutError:
        raise BodyRefused(408, f"the body did not come within {patience:g} s") from None
    return _decompressed(bytes(body), request.headers.get("content-encoding", "identity"), limit)


def _decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding == "identity":
        return body
    if encoding not in {"gzip", "deflate"}:
        raise BodyRefused(415, f"content encoding {encoding!r} is not known")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32 if encoding == "gzip" else zlib.MAX_WBITS)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise BodyRefused(400, f"the body cannot be decompressed: {error}") from None
    if len(unpacked) > limit:
        raise BodyRefused(413, f"the body unpacks to more than {limit} bytes")
    if not unpacker.eof:
        raise BodyRefused(400, "the compressed body ends early")
    return unpacked


Handle = Callable[[bytes], tuple[int, str, bytes]]
"""Takes the XML that was posted; gives the answer's HTTP status, content type and content."""


def xml_route(path: str, handle: Handle, *, patience: float = PATIENCE) -> Route:
    """A path that XML is posted to. ``handle`` runs on a thread, and sees bounded bodies only.

    ``patience`` is how long a body may take, in seconds.
    """

    async def answer(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != XML:
            return PlainTextResponse(f"send {XML}", 415)
        try:
            xml = await read_body(request, patience=patience)
        except BodyRefused as refused:
            # What is left of the body is not waited for
            return PlainTextResponse(str(refused), refused.status, {"Connection": "close"})
        status, kind, content = await run_in_threadpool(handle, xml)
        return Response(content, status, media_type=kind)

    return Route(path, answer, methods=["POST"])


class HttpClient:
    """Calls to one peer. Whatever keeps an answer from coming is a :class:`LinkLost` naming the peer."""

    def __init__(
        self,
        base: str,
        peer: str,
        *,
        tls: ssl.SSLContext | None = None,
        timeout: float = 30.0,
    ) -> None:
        if base.startswith("https:") and tls is None:
            raise ConfigurationError(f"{peer} at {base} needs TLS, and none is set up")
        self._peer = f"{peer} at {base}"
        self._client = httpx.Client(
            base_url=base,
            verify=tls or False,  # without TLS there is nothing to verify
            timeout=httpx.Timeout(timeout, connect=5.0),
            limits=httpx.Limits(keepalive_expiry=_CLIENT_KEEP_ALIVE),
            trust_env=False,
        )

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One call and its whole answer, whatever its status."""
        try:
            return self._client.request(method, path, **arguments)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise LinkLost(
                f"{self._peer} gave no answer to {method} {path}: {type(error).__name__} {error}",
                remedy="is it running, and do both ends trust each other's certificates?",
            ) from error

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
