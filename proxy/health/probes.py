"""One check of one endpoint, over HTTP/1.1 or TCP. Nothing is raised: it gives a failure, see `failures`."""

import errno
import os
import socket
from typing import NamedTuple

import h11

from tulle.controlplane.address import SocketAddress
from tulle.controlplane.table import HealthCheckRow
from tulle.proxy.health.failures import CLOSED, MALFORMED, PASSED, TIMEOUT, TOLD, unexpected, unreachable
from tulle.proxy.streams import Stream, writable
from tulle.proxy.waiting import Timeout

SECOND = 1_000_000_000
LONGEST_HEAD = 64 * 1024  # bytes
LONGEST_BODY = 1024 * 1024  # bytes that are read so that the connection can be used again
TELLS = b"x-envoy-immediate-health-check-fail"


class Probe:
    """Checks one endpoint, time and again; keeps the connection in between where that is wanted."""

    def __init__(self, check: HealthCheckRow, address: SocketAddress) -> None:
        self.check = check
        self.address = SocketAddress(address.host, check.port) if check.port else address
        self.timeout = check.timeout / SECOND
        self.kept: Connection | None = None

    async def run(self) -> int:
        try:
            async with Timeout(self.timeout):
                return await (self._http() if self.check.path else self._tcp())
        except TimeoutError:
            self.close()
            return TIMEOUT
        except OSError as error:
            self.close()
            return unreachable(error)
        except h11.ProtocolError:
            self.close()
            return MALFORMED

    def close(self) -> None:
        if self.kept is not None:
            self.kept.stream.close()
            self.kept = None

    async def _tcp(self) -> int:
        (await connect(self.address)).close()
        return PASSED

    async def _http(self) -> int:
        while True:
            fresh = self.kept is None
            if self.kept is None:
                stream = await connect(self.address)
                self.kept = Connection(stream, h11.Connection(h11.CLIENT, LONGEST_HEAD))
            try:
                answer = await self._ask(self.kept)
            except (OSError, h11.RemoteProtocolError):
                if fresh:
                    raise
                answer = None
            if answer is not None:
                break
            self.close()
            if fresh:
                return CLOSED
            # a kept connection that the server has closed meanwhile: it is asked again on another one
        if any(name == TELLS for name, _ in answer.headers):
            return TOLD
        if any(first <= answer.status_code <= last for first, last in self.check.statuses):
            return PASSED
        return unexpected(answer.status_code)

    async def _ask(self, connection: "Connection") -> h11.Response | None:
        """The answer to one request; None when the connection ends before it."""
        stream, http = connection
        await stream.write((http.send(self._request()) or b"") + (http.send(h11.EndOfMessage()) or b""))
        answer: h11.Response | None = None
        body = 0
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                data = await stream.read(LONGEST_HEAD)
                if not data and answer is None:
                    break
                http.receive_data(data)
            elif isinstance(event, h11.Response):
                answer = event
                if not self.check.reuse_connection:
                    break
            elif isinstance(event, h11.Data):
                body += len(event.data)
                if body > LONGEST_BODY:
                    break
            elif isinstance(event, h11.EndOfMessage):
                if http.our_state is h11.DONE and http.their_state is h11.DONE:
                    http.start_next_cycle()
                    return answer
                break
            elif isinstance(event, h11.ConnectionClosed):
                break
        self.close()
        return answer

    def _request(self) -> h11.Request:
        headers = [("host", self.check.host or ("localhost" if self.address.is_unix else str(self.address)))]
        headers += [("user-agent", "tulle-health-check"), *self.check.headers]
        if not self.check.reuse_connection:
            headers.append(("connection", "close"))
        return h11.Request(method=self.check.method, target=self.check.path, headers=headers)


class Connection(NamedTuple):
    """To an endpoint."""

    stream: Stream
    http: h11.Connection


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
