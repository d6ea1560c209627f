"""Who may ask: the person who was given the address, on this machine, and only to look.

Any page that a browser shows may send requests to this machine, by a name of its own that it lets
mean 127.0.0.1 (DNS rebinding), and any other user of the machine may. Neither knows the token.
"""

import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOSTS = ("127.0.0.1", "localhost")
"""What a browser on this machine, or at the near end of a tunnel to it, calls this machine."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Our own scripts alone, and no other host: plotly sets styles, and pictures stand in the pages."""

_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""Of every answer, unless its route says otherwise."""


class Gate:
    """Lets through what carries the token, and takes it off the path.

    Args:
        app: What stands behind; it sees the token as the place that it is mounted at.
        token: The first part of every path.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, refuses, or passes on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refusal(scope)
        if refused is not None:
            await refused(scope, receive, with_headers)
            return
        place = f"/{self._token}"
        inner = {**scope, "root_path": scope.get("root_path", "") + place}
        await self._app(inner, receive, with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        """Why a request is not answered; None where it is. The token is looked at first."""
        given, slash, _ = scope["path"].removeprefix("/").partition("/")
        known = secrets.compare_digest(given.encode(errors="replace"), self._token.encode())
        if not known or not slash:
            return _refused(
                403, "This address lacks its token: open the one that nearfar web printed."
            )
        host = Headers(scope=scope).get("host", "").lower()
        name, _, port = host.partition(":")
        if name not in _HOSTS or (port and not port.isdecimal()):
            return _refused(403, "Asked for under the name of another machine.")
        if scope["method"] != "GET":
            refused = _refused(405, "There is nothing to change here.")
            refused.headers["Allow"] = "GET"
            return refused
        return None


def _refused(status: int, why: str) -> PlainTextResponse:
    return PlainTextResponse(f"{why}\n", status)
