"""Connections of mutual TLS that are held open: made one after the other, and then left alone."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.cpus import on_cpus
from bench.demand import SERVER_NAME, Secure

PATIENCE = 20.0  # seconds for a handshake or an answer


@contextmanager
def held_secure_connections(
    port: int, papers: Secure, *, count: int, cpus: frozenset[int]
) -> Iterator[list[ssl.SSLSocket]]:
    """So many connections with a client certificate, one answered request on each, while inside."""
    context = ssl.create_default_context(cafile=papers.ca)
    context.load_cert_chain(f"{papers.folder}/client.crt", f"{papers.folder}/client.key")
    with ExitStack() as stack, on_cpus(cpus):
        yield [stack.enter_context(_connect(port, context)) for _ in range(count)]


def _connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """OSError when it fails, or when the answer is not 200."""
    raw = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection = context.wrap_socket(raw, server_hostname=SERVER_NAME)
    connection.sendall(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(65536)
        if not data:
            raise OSError("the connection was closed before the answer")
        answer += data
    if not answer.startswith(b"HTTP/1.1 200"):
        raise OSError(f"it was answered with {answer[:40]!r}")
    return connection
