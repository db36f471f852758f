"""A peer whose connection is one of TLS; its test says apart how TLS ends and how the socket does.

Python's own sockets of TLS cannot end one direction: `shutdown` of them is the FIN alone.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tests._fast.flow.peers import Peer

Result = TypeVar("Result")
READ = 65536


class SecurePeer(Peer):
    """One end of such a connection, its handshake done. One thread may send while another receives."""

    def __init__(
        self,
        connection: socket.socket,
        context: ssl.SSLContext,
        name: str | None = None,
        session: ssl.SSLSession | None = None,
        begun: bytes = b"",
    ) -> None:
        """A client when it asks for a name, else a server. `begun`: bytes that were read off it already."""
        super().__init__(connection)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.incoming.write(begun)
        self.lock = threading.Lock()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, name is None, name, session)
        while True:
            try:
                self.said(self.tls.do_handshake)
                return
            except ssl.SSLWantReadError:
                self.flush()
                self.take_in()
            except ssl.SSLError:
                self.flush()
                raise

    def said(self, step: Callable[[], Result]) -> Result:
        """A step, and on the wire what it has to say."""
        with self.lock:
            result = step()
        self.flush()
        return result

    def flush(self) -> None:
        with self.lock:
            data = self.outgoing.read()
        self.connection.sendall(data)

    def take_in(self) -> None:
        data = self.connection.recv(READ)
        with self.lock:
            if data:
                self.incoming.write(data)
            else:
                self.incoming.write_eof()

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            for at in range(0, len(piece), READ):
                self.said(partial(self.tls.write, piece[at : at + READ]))

    def half_close(self) -> None:
        """Say that nothing follows (close_notify), and keep the socket open in both directions."""
        with self.lock, contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()

    def cut(self) -> None:
        """The FIN without a word."""
        super().half_close()

    def fill(self) -> bool:
        """False at the end that the other side has told. SSLEOFError when its socket has ended without."""
        while True:
            try:
                with self.lock:
                    data = self.tls.read(READ)
                break
            except ssl.SSLWantReadError:
                self.take_in()
            except ssl.SSLZeroReturnError:
                return False
        self.received += data
        self.unread += data
        return bool(data)

    def silent(self) -> bool:
        raise NotImplementedError("what has come may be no bytes of the other side")
