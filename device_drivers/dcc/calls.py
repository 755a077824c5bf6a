"""Calls between the processes of one run: JSON over HTTP on the loopback, with a bearer token."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from device_drivers.dcc.http import BodyRefused, HttpClient, HttpServer, read_body
from harness.domain.errors import HarnessError, LinkLost, UsageError

Call = Callable[[Mapping[str, Any]], Any]

_LIMIT: Final = 32 << 20  # bytes: a firmware image, coded twice
_FAMILIES: Final[Mapping[str, type[HarnessError]]] = {"UsageError": UsageError}


class CallServer:
    """Answers calls by name, for whoever has the token. A call takes and gives what JSON can hold."""

    def __init__(self, calls: Mapping[str, Call]) -> None:
        self.token = secrets.token_urlsafe(32)
        routes = [Route(f"/{name}", self._answering(call), methods=["POST"]) for name, call in calls.items()]
        self._server = HttpServer(Starlette(routes=routes))

    @property
    def address(self) -> str:
        """The base URL."""
        return f"http://{self._server.host}:{self._server.port}"

    def close(self) -> None:
        """Stop answering; closing twice is fine."""
        self._server.close()

    def _answering(self, call: Call) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if not hmac.compare_digest(request.headers.get("authorization", ""), f"Bearer {self.token}"):
                return PlainTextResponse("a bearer token is needed", 401)
            try:
                arguments = json.loads(await read_body(request, _LIMIT))
                return JSONResponse(await run_in_threadpool(call, arguments))
            except BodyRefused as refused:
                return PlainTextResponse(str(refused), refused.status)
            except (ValueError, KeyError, TypeError) as error:
                return PlainTextResponse(f"a call that cannot be: {type(error).__name__}: {error}", 400)
            except HarnessError as error:
                told = {"error": type(error).__name__, "message": error.message, "remedy": error.remedy}
                return JSONResponse(told, 409)

        return answer


class CallClient:
    """Calls another process of the run; whatever goes wrong on the way is a :class:`LinkLost`."""

    def __init__(self, address: str, token: str, peer: str, timeout: float = 120.0) -> None:
        self._peer = peer
        self._client = HttpClient(address, peer, token=token, timeout=timeout)

    def __call__(self, name: str, /, **arguments: Any) -> Any:
        """What the call gives back."""
        answer = self._client.call("POST", f"/{name}", json=arguments)
        if answer.status_code == 409:
            told = answer.json()
            family = _FAMILIES.get(told["error"], LinkLost)
            raise family(told["message"], remedy=told["remedy"])
        if answer.status_code != 200:
            raise LinkLost(
                f"{self._peer} answered {name} with HTTP {answer.status_code}: {answer.text[:200]}"
            )
        return answer.json()

    def close(self) -> None:
        self._client.close()
