"""Who may see the page: the doors in front of every request.

Loopback is no boundary: any page in the same browser can send requests to it, and a name that is
made to resolve to 127.0.0.1 carries that page's own origin (DNS rebinding). So the Host header must
be exactly one of the names that the page was started under, before anything is routed; a session
begins with a code that is shown to the starter alone, works once and for a minute, and lives in a
cookie that no other site's request carries; what changes something must come from the page itself.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "gossipnet_session"
CODE_SECONDS = 60.0
SESSION_SECONDS = 12 * 3600.0
SESSIONS_MAX = 16

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Content-Security-Policy: nothing that is not in the package runs, and no site may frame it."""

_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Sessions:
    """The code of the starter and the sessions that came of codes.

    Args:
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      clock: Monotonic seconds.

    Attributes:
      refused: Codes and cookies that were wrong, by kind.
    """

    def __init__(self, entropy: Callable[[int], bytes], clock: Callable[[], float]) -> None:
        self._entropy = entropy
        self._clock = clock
        self._code: tuple[bytes, float] | None = None
        self._sessions: dict[bytes, float] = {}
        self.refused = {"code": 0, "cookie": 0}

    def new_code(self) -> str:
        """A code for one session; an older one that was not used ends."""
        code = self._entropy(16).hex()
        self._code = _digest(code), self._clock() + CODE_SECONDS
        return code

    def exchange(self, code: str) -> str | None:
        """The session for a code, or None; either way the code is used up."""
        kept, self._code = self._code, None
        if (
            kept is None
            or self._clock() > kept[1]
            or not hmac.compare_digest(kept[0], _digest(code))
        ):
            self.refused["code"] += 1
            return None
        token = self._entropy(32).hex()
        self._sessions[_digest(token)] = self._clock() + SESSION_SECONDS
        while len(self._sessions) > SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        return token

    def holds(self, token: str | None) -> bool:
        """Whether this cookie is a session's."""
        if token and self._clock() <= self._sessions.get(_digest(token), 0.0):
            return True
        self.refused["cookie"] += token is not None
        return False


class Doors:
    """Middleware: Host, origin and session, and the headers of every answer.

    Args:
      app: What stands behind.
      hosts: Exactly these Host headers, lower case.
      sessions: Whose cookies open ``/api/``.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], sessions: Sessions) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        if scope["type"] != "http":
            return PlainTextResponse("only HTTP is spoken here", 400)
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            return PlainTextResponse("this page does not go by that name", 421)
        if scope["method"] not in ("GET", "HEAD"):
            if headers.get("origin", "").lower() != f"http://{host}":
                return PlainTextResponse("only the page itself may ask for that", 403)
            if headers.get("sec-fetch-site", "same-origin") != "same-origin":
                return PlainTextResponse("only the page itself may ask for that", 403)
        if scope["path"].startswith("/api/"):
            if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                return PlainTextResponse("only the page itself may ask for that", 403)
            if not self._sessions.holds(HTTPConnection(scope).cookies.get(COOKIE)):
                return PlainTextResponse(
                    "no session: open the address that gossipnet web shows", 401
                )
        return None


def _digest(secret: str) -> bytes:
    """What is kept of a secret, so that comparing it tells nothing of it."""
    return hashlib.blake2b(secret.encode(), digest_size=32).digest()
