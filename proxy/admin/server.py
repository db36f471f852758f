"""The admin server: HTTP/1.1 by h11 on the master's event loop. Bounded in connections, bytes and time."""

import json
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import h11

from tulle.proxy.streams import Server, Stream
from tulle.proxy.waiting import Timeout

MOST_CONNECTIONS = 64
LONGEST_HEAD = 16 * 1024  # bytes
LONGEST_BODY = 64 * 1024  # bytes; bodies are read and not used
PATIENCE = 15.0  # seconds for the next request, and for an answer to be taken


class Request(NamedTuple):
    """`query` is without `?`; `wants_json` is what `?format=` or the Accept field asks for."""

    method: str
    path: str
    query: dict[str, str]
    wants_json: bool


class Answer(NamedTuple):
    """What a page gives. `allow`: the method that would have been right."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    allow: str = ""


REASONS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}
Respond = Callable[[Request], Awaitable[Answer]]


class AdminServer:
    """Serves on a listening socket, which stays the caller's."""

    def __init__(self, listening: socket.socket, respond: Respond) -> None:
        self.respond = respond
        self.server = Server(listening.dup(), self._serve, MOST_CONNECTIONS)

    def close(self) -> None:
        """Take no more connections, and end those that there are."""
        self.server.close()

    async def _serve(self, stream: Stream) -> None:
        await Connection(stream, self.respond).serve()


class Connection:
    """One client, request after request."""

    def __init__(self, stream: Stream, respond: Respond) -> None:
        self.stream = stream
        self.respond = respond
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
        self.head_only = False

    async def serve(self) -> None:
        while True:
            try:
                request = await self._request()
            except h11.RemoteProtocolError as error:
                if self.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    await self._send(Answer(error.error_status_hint, b"bad request\n"), closes=True)
                    await self.stream.linger(LONGEST_BODY)
                return
            if request is None:
                return
            answer = await self._answer(request)
            await self._send(answer, closes=self.http.their_state is not h11.DONE)
            if self.http.our_state is h11.MUST_CLOSE or self.http.their_state is not h11.DONE:
                return
            self.http.start_next_cycle()

    async def _request(self) -> h11.Request | None:
        """The next request with its body read; None when the client has closed."""
        request: h11.Request | None = None
        body = 0
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                if self.http.they_are_waiting_for_100_continue:
                    await self.stream.write(
                        self._bytes(h11.InformationalResponse(status_code=100, headers=[]))
                    )
                async with Timeout(PATIENCE):
                    self.http.receive_data(await self.stream.read(LONGEST_HEAD))
            elif isinstance(event, h11.Request):
                request = event
                self.head_only = event.method == b"HEAD"
            elif isinstance(event, h11.Data):
                body += len(event.data)
                if body > LONGEST_BODY:
                    raise h11.RemoteProtocolError("the body is too long", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage):
                return request
            else:
                return None

    async def _answer(self, received: h11.Request) -> Answer:
        target, _, query = received.target.decode("latin-1").partition("?")
        asked = dict(part.partition("=")[::2] for part in query.split("&") if part)
        accepts = next((value for name, value in received.headers if name == b"accept"), b"")
        form = asked.get("format", "json" if accepts == b"application/json" else "text")
        if form not in ("json", "text"):
            return Answer(400, b"format may be json or text\n")
        method = received.method.decode("latin-1")
        return await self.respond(Request(method, target, asked, form == "json"))

    async def _send(self, answer: Answer, closes: bool) -> None:
        headers = [
            ("content-type", answer.content_type),
            ("content-length", str(len(answer.body))),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ]
        if answer.allow:
            headers.append(("allow", answer.allow))
        if closes:
            headers.append(("connection", "close"))
        reason = REASONS.get(answer.status, b"")
        parts = [self._bytes(h11.Response(status_code=answer.status, headers=headers, reason=reason))]
        if not self.head_only:
            parts.append(self._bytes(h11.Data(data=answer.body)))
        parts.append(self._bytes(h11.EndOfMessage()))
        async with Timeout(PATIENCE):
            await self.stream.write(b"".join(parts))

    def _bytes(self, event: h11.Event) -> bytes:
        return self.http.send(event) or b""


def in_form(value: object, request: Request) -> Answer:
    """A value as JSON or as text, as the request wants it."""
    if request.wants_json:
        body = json.dumps(value, indent=1, ensure_ascii=False).encode()
        return Answer(200, body + b"\n", "application/json")
    from tulle.proxy.admin.text import readable

    return Answer(200, readable(value).encode())
