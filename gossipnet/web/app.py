"""The page's routes: static files, a session, questions, a live stream, and a few writes.

Every answer of the daemon comes through a thread under a deadline. The stream is server-sent
events: an overview each second and changes of keys as they come, with a ``gap`` where the browser
was too slow; no more than `STREAMS_MAX` at once.
"""

import json
from collections.abc import AsyncIterator, Callable
from importlib import resources
from typing import Any, TypeVar

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gossipnet.client import Client, ReplyError
from gossipnet.errors import GossipnetError
from gossipnet.web.daemon_view import DaemonView, shown_change
from gossipnet.web.doors import COOKIE, SESSION_SECONDS, Doors, Sessions

ASK_SECONDS = 10.0
STREAMS_MAX = 16
BODY_MAX = 128 * 1024
_EVERY_SECONDS = 1.0
_WAITING = 256

_FILES = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "mesh.js": "text/javascript; charset=utf-8",
    "browse.js": "text/javascript; charset=utf-8",
}
_WRITES: dict[str, tuple[bytes, ...]] = {
    "set": (b"SET",),
    "del": (b"DEL",),
    "hset": (b"HSET",),
    "hdel": (b"HDEL",),
    "sadd": (b"SADD",),
    "srem": (b"SREM",),
}
_LIVED_MAX = 86_400
T = TypeVar("T")


class Page:
    """The handlers, and what they share.

    Args:
      connect: Opens a connection to the daemon, with a deadline of its own.
      sessions: The sessions that there are.
      writes: Whether the page may change anything.
    """

    def __init__(self, connect: Callable[[], Client], sessions: Sessions, *, writes: bool) -> None:
        self._connect = connect
        self._view = DaemonView(connect)
        self._sessions = sessions
        self._writes = writes
        self._streams = 0

    async def file(self, request: Request) -> Response:
        """One of the package's files; they hold no data, so they need no session."""
        name = request.path_params.get("name", "index.html")
        if name not in _FILES:
            return PlainTextResponse("there is no such page", 404)
        data = resources.files("gossipnet.web").joinpath("static", name).read_bytes()
        return Response(data, media_type=_FILES[name])

    async def session(self, request: Request) -> Response:
        """Exchange a code for a cookie."""
        asked = await _body(request)
        token = self._sessions.exchange(str((asked or {}).get("code", "")))
        if token is None:
            return PlainTextResponse("the code is used or over: start gossipnet web again", 403)
        response = JSONResponse({"writes": self._writes})
        response.set_cookie(
            COOKIE, token, max_age=int(SESSION_SECONDS), httponly=True, samesite="strict", path="/"
        )
        return response

    async def overview(self, _request: Request) -> Response:
        """The live part once, and whether writes are allowed."""
        return await self._answer(lambda: {**self._view.overview(), "writes": self._writes})

    async def keys(self, request: Request) -> Response:
        """A page of keys."""
        pattern = request.query_params.get("match", "*")[:512] or "*"
        cursor = request.query_params.get("cursor", "0")
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 21):
            return PlainTextResponse("cursor is a number", 400)
        return await self._answer(lambda: self._view.keys(pattern, int(cursor)))

    async def key(self, request: Request) -> Response:
        """One key."""
        name = request.query_params.get("name", "").encode()
        return await self._answer(lambda: self._view.key(name))

    async def write(self, request: Request) -> Response:
        """One write: ``{"verb": ..., "words": [...]}``, if writes are allowed."""
        if not self._writes:
            return PlainTextResponse("read-only: start gossipnet web --allow-writes", 403)
        asked = await _body(request)
        verb, words = (asked or {}).get("verb"), (asked or {}).get("words")
        if (
            verb not in _WRITES
            or not isinstance(words, list)
            or not 0 < len(words) <= 64
            or not all(isinstance(word, str) for word in words)
        ):
            return PlainTextResponse("not a write that this page makes", 400)
        command = [*_WRITES[verb], *(word.encode() for word in words)]
        return await self._answer(lambda: {"error": self._view.change(command)})

    async def invite(self, request: Request) -> Response:
        """A join token and its QR code, if writes are allowed."""
        if not self._writes:
            return PlainTextResponse("read-only: start gossipnet web --allow-writes", 403)
        asked = await _body(request)
        ttl = (asked or {}).get("ttl_s", 3600)
        if not isinstance(ttl, int) or not 0 < ttl <= _LIVED_MAX:
            return PlainTextResponse(f"ttl_s is a number of seconds up to {_LIVED_MAX}", 400)

        def made() -> dict[str, Any]:
            import segno

            try:
                token = self._view.invite(ttl)
            except ReplyError as error:
                return {"error": str(error)}
            code = segno.make(token, error="l", micro=False)
            return {"token": token, "qr": code.svg_data_uri(scale=4, border=4)}

        return await self._answer(made)

    async def live(self, request: Request) -> Response:
        """The stream."""
        if self._streams >= STREAMS_MAX:
            return PlainTextResponse(f"{STREAMS_MAX} streams are open already", 503)
        pattern = request.query_params.get("match", "*")[:512] or "*"
        return StreamingResponse(self._stream(pattern), media_type="text/event-stream")

    async def _stream(self, pattern: str) -> AsyncIterator[bytes]:
        self._streams += 1
        send, receive = trio.open_memory_channel[bytes](_WAITING)
        gap = [0]
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._feed_overviews, send)
                nursery.start_soon(self._feed_changes, send, pattern, gap)
                try:
                    while True:
                        with trio.move_on_after(15.0) as silence:
                            yield await receive.receive()
                        if silence.cancelled_caught:
                            yield b": still here\n\n"
                        if gap[0]:
                            lost, gap[0] = gap[0], 0
                            yield _event("gap", {"lost": lost})
                finally:
                    nursery.cancel_scope.cancel()
        finally:
            self._streams -= 1

    async def _feed_overviews(self, send: trio.MemorySendChannel[bytes]) -> None:
        while True:
            try:
                found = await _in_thread(self._view.overview)
                await send.send(_event("overview", {**found, "writes": self._writes}))
            except (GossipnetError, trio.TooSlowError) as error:
                await send.send(_event("trouble", {"text": str(error) or "the daemon is slow"}))
            await trio.sleep(_EVERY_SECONDS)

    async def _feed_changes(
        self, send: trio.MemorySendChannel[bytes], pattern: str, gap: list[int]
    ) -> None:
        while True:
            try:
                with await _in_thread(lambda: self._connect().watch(pattern)) as watch:
                    while True:
                        # Short waits: a thread cannot be cancelled, and the browser may be gone.
                        change = await trio.to_thread.run_sync(lambda: watch.next(0.5))
                        if change is None:
                            continue
                        try:
                            send.send_nowait(_event("change", shown_change(change)))
                        except trio.WouldBlock:
                            gap[0] += 1
            except (GossipnetError, trio.TooSlowError):
                await trio.sleep(_EVERY_SECONDS)  # the overview's feed tells what is wrong

    async def _answer(self, ask: Callable[[], Any]) -> Response:
        try:
            return JSONResponse(await _in_thread(ask))
        except trio.TooSlowError:
            return PlainTextResponse("the daemon did not answer in time", 504)
        except GossipnetError as error:
            return PlainTextResponse(str(error), 503)


async def _in_thread(ask: Callable[[], T]) -> T:
    with trio.fail_after(ASK_SECONDS):
        return await trio.to_thread.run_sync(ask, abandon_on_cancel=True)


async def _body(request: Request) -> dict[str, Any] | None:
    """The JSON object of a request, or None if it is none or too long."""
    data = b""
    with trio.move_on_after(ASK_SECONDS):
        async for piece in request.stream():
            data += piece
            if len(data) > BODY_MAX:
                return None
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _event(kind: str, document: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(document)}\n\n".encode()


def make_app(
    connect: Callable[[], Client], hosts: list[str], sessions: Sessions, *, writes: bool
) -> Doors:
    """The whole application, behind its doors."""
    page = Page(connect, sessions, writes=writes)
    routes = [
        Route("/", page.file),
        Route("/static/{name}", page.file),
        Route("/session", page.session, methods=["POST"]),
        Route("/api/overview", page.overview),
        Route("/api/live", page.live),
        Route("/api/keys", page.keys),
        Route("/api/key", page.key),
        Route("/api/write", page.write, methods=["POST"]),
        Route("/api/invite", page.invite, methods=["POST"]),
    ]
    return Doors(Starlette(routes=routes), hosts, sessions)
