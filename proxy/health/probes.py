"""One check of one endpoint, by HTTP/1.1, HTTP/2 or gRPC, each also over TLS, or by TCP.

Nothing is raised: it gives a failure, see `failures`.
"""

import errno
import os
import socket
from typing import TYPE_CHECKING

from tulle._fast.http.answer import Answer
from tulle.controlplane.address import SocketAddress
from tulle.controlplane.table import HealthCheckRow
from tulle.proxy.health.failures import (
    CLOSED,
    MALFORMED,
    PASSED,
    TIMEOUT,
    TOLD,
    NotSecure,
    failed_call,
    not_serving,
    unexpected,
    unreachable,
)
from tulle.proxy.health.grpc_health import SERVING, check_request, serving_status
from tulle.proxy.health.http2 import Fields, Http2, Reply
from tulle.proxy.streams import Stream, writable
from tulle.proxy.waiting import Timeout

if TYPE_CHECKING:
    from tulle.proxy.health.secure import Security

SECOND = 1_000_000_000
LONGEST_HEAD = 64 * 1024  # bytes
LONGEST_BODY = 1024 * 1024  # bytes that are read so that the connection can be used again
# PROXY headers by their version, of a connection that is nobody's but the proxy's own
INTRODUCTIONS = (b"", b"PROXY UNKNOWN\r\n", b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00")
TELLS = b"x-envoy-immediate-health-check-fail"


class Probe:
    """Checks one endpoint, time and again; keeps the connection in between where that is wanted."""

    def __init__(
        self,
        check: HealthCheckRow,
        address: SocketAddress,
        security: "Security | None" = None,
        proxy_protocol: int = 0,
    ) -> None:
        self.check = check
        self.security = security  # of a check over TLS
        self.introduction = INTRODUCTIONS[proxy_protocol]
        self.address = SocketAddress(address.host, check.port) if check.port else address
        self.timeout = check.timeout / SECOND
        self.request = self._request() if check.path and not check.http2 else b""
        self.kept: Stream | None = None
        self.kept_http2: Http2 | None = None

    async def run(self) -> int:
        try:
            async with Timeout(self.timeout):
                if self.check.http2:
                    return await self._http2()
                return await (self._http() if self.check.path else self._tcp())
        except TimeoutError:
            self.close()
            return TIMEOUT
        except NotSecure as error:
            self.close()
            return error.failure
        except OSError as error:
            self.close()
            return unreachable(error)
        except ValueError:
            self.close()
            return MALFORMED

    def close(self) -> None:
        if self.kept is not None:
            self.kept.close()
            self.kept = None
        if self.kept_http2 is not None:
            self.kept_http2.close()
            self.kept_http2 = None

    async def _tcp(self) -> int:
        (await self._introduced()).close()
        return PASSED

    async def _introduced(self) -> Stream:
        stream = await connect(self.address)
        if self.introduction:
            await stream.write(self.introduction)
        return stream

    async def _http(self) -> int:
        while True:
            fresh = self.kept is None
            if self.kept is None:
                self.kept = await self._connect()
            try:
                answer = await self._ask(self.kept)
            except (OSError, ValueError):
                if fresh:
                    raise
                answer = None
            if answer is not None:
                break
            self.close()
            if fresh:
                return CLOSED
            # a kept connection that the server has closed meanwhile: it is asked again on another one
        return self._judge(answer.status, answer.has(TELLS))

    async def _connect(self) -> Stream:
        stream = await self._introduced()
        return stream if self.security is None else await self.security.begin(stream)

    async def _ask(self, stream: Stream) -> Answer | None:
        """The answer to one request; None when the connection ends before it."""
        await stream.write(self.request)
        answer = Answer(self.check.method.encode(), LONGEST_HEAD, LONGEST_BODY)
        whole = False
        while not whole:
            data = await stream.read(LONGEST_HEAD)
            whole = answer.feed(data) if data else answer.end()
            # a body is of no interest, but stands before the next answer
            if answer.status and not self.check.reuse_connection:
                break
            if not data:
                break
        if not (whole and answer.keeps and self.check.reuse_connection):
            self.close()
        return answer if answer.status else None

    async def _http2(self) -> int:
        body = check_request(self.check.service) if self.check.grpc else b""
        while True:
            fresh = self.kept_http2 is None
            if self.kept_http2 is None:
                self.kept_http2 = Http2(await self._connect())
            try:
                reply = await self.kept_http2.ask(self._head(), body)
            except (OSError, ValueError):
                if fresh:
                    raise
                reply = None
            if reply is not None:
                break
            self.close()
            if fresh:
                return CLOSED
        if not (self.kept_http2.usable and self.check.reuse_connection):
            self.close()
        return (
            self._judge_call(reply) if self.check.grpc else self._judge(reply.status, TELLS in reply.fields)
        )

    def _judge(self, status: int, told: bool) -> int:
        if told:
            return TOLD
        if any(first <= status <= last for first, last in self.check.statuses):
            return PASSED
        return unexpected(status)

    def _judge_call(self, reply: Reply) -> int:
        """ValueError when the answer is not one of gRPC."""
        if reply.status != 200:
            return unexpected(reply.status)
        status = int(reply.fields[b"grpc-status"]) if b"grpc-status" in reply.fields else 2
        if status != 0:
            return failed_call(status)
        serving = serving_status(reply.body)
        return PASSED if serving == SERVING else not_serving(serving)

    @property
    def _host(self) -> str:
        return self.check.host or ("localhost" if self.address.is_unix else str(self.address))

    def _head(self) -> Fields:
        """The head of HTTP/2, where names are in lower case (RFC 9113 section 8.2)."""
        check = self.check
        head = [
            (":method", check.method),
            (":scheme", "http" if self.security is None else "https"),
            (":authority", self._host),
            (":path", check.path),
        ]
        head.append(("user-agent", "tulle-health-check"))
        if check.grpc:
            head += [("content-type", "application/grpc"), ("te", "trailers")]
            head.append(("grpc-timeout", f"{max(1, check.timeout // 1_000_000)}m"))
        return [*head, *((name.lower(), value) for name, value in check.headers)]

    def _request(self) -> bytes:
        """The whole head; what it is made of has been found right with the configuration."""
        check = self.check
        fields = [("Host", self._host), ("User-Agent", "tulle-health-check"), *check.headers]
        if not check.reuse_connection:
            fields.append(("Connection", "close"))
        lines = [f"{check.method} {check.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
        return "\r\n".join([*lines, "", ""]).encode()


async def connect(address: SocketAddress) -> Stream:
    """A new connection. OSError when there is none to be had."""
    if address.port is None:
        own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        place: object = "\0" + address.host[1:] if address.host.startswith("@") else address.host
    else:
        own = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        place = (address.host, address.port)
    try:
        own.setblocking(False)
        failure = own.connect_ex(place)  # type: ignore[arg-type]
        if failure == errno.EINPROGRESS:
            await writable(own.fileno())
            failure = own.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, os.strerror(failure))
    except BaseException:
        own.close()
        raise
    return Stream(own)
