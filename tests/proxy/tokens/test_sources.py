"""Where keys come from, and that following them costs the same after a year as on the first day."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from tests.proxy.tokens.issuer import Issuer
from tests.proxy.tokens.test_verify import provider
from tulle.controlplane.model import Config
from tulle.controlplane.table import RoutingTable
from tulle.controlplane.tabulate import tabulate
from tulle.proxy import loop
from tulle.proxy.tokens import sources
from tulle.proxy.tokens.sources import Memory, Source, fetch
from tulle.proxy.tokens.verifier import TABLES, Verifier
from tulle.proxy.waiting import Timeout, sleep

JWKS = Issuer("ES256").jwks()


def source(**more: Any) -> Source:
    return Source(provider(keys_file="", keys_url="http://127.0.0.1:1/", **more), lambda: None)


def timers() -> int:
    return sum(timer.callback is not None for timer in loop.current()._timers)


def test_one_fetch_follows_another_however_many_were_asked_for() -> None:
    async def follow() -> None:
        one = source(refresh=3600 * 10**9)
        for _ in range(10):  # each of them was begun, and now has its answer
            one._answered(JWKS, "")
            one._answered(b"", "it is down")
        assert timers() == 1
        one.end()
        assert timers() == 0
        one._answered(JWKS, "")
        assert timers() == 0

    loop.run(follow())


def test_nobody_waits_for_keys_that_cannot_be_fetched() -> None:
    one = source()
    one.fetching = True
    assert one.want_newer()
    one.failure = "it is down"
    assert not one.want_newer()
    assert not Source(provider(), lambda: None).want_newer(), "a file is looked at anyhow"


@contextmanager
def server(answer: Any) -> Iterator[str]:
    """A URL at which one connection is answered by this function."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(10)
            connection.recv(65536)
            answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/keys"
    finally:
        listening.close()
        thread.join()


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FETCH_TIMEOUT", 0.1)
    given_up = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not given_up.wait(0.01):
            connection.sendall(b" ")

    with server(drip) as url:
        try:
            with pytest.raises(OSError, match="to the end"):
                fetch(url)
        finally:
            given_up.set()


@pytest.mark.parametrize(
    "nonsense", [b"SSH-2.0-x\r\n", b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"]
)
def test_nonsense_is_a_failure_as_any_other(nonsense: bytes) -> None:
    async def follow(url: str) -> None:
        one = Source(provider(keys_file="", keys_url=url), lambda: None)
        one.begin(None)
        async with Timeout(10):
            while not one.failure:
                await sleep(0.01)
        assert not one.fetching
        assert timers() == 1, "it is tried again"
        one.end()

    with server(lambda connection: connection.sendall(nonsense)) as url:
        loop.run(follow(url))


def test_a_large_answer_is_not_kept() -> None:
    def pour(connection: socket.socket) -> None:
        with pytest.raises(OSError):  # nobody reads on
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b" " * 65536)

    with server(pour) as url:
        assert len(fetch(url)) <= sources.LARGEST_JWKS + 65536


def test_what_no_table_asks_any_more_is_forgotten(tmp_path: Path) -> None:
    def table(number: int) -> RoutingTable:
        file = tmp_path / f"{number}.json"
        file.write_bytes(JWKS)
        listener = {"name": "web", "address": "127.0.0.1:0", "routes": "main", "jwt": {"providers": ["p"]}}
        config = {
            "listeners": [listener],
            "routes": {"main": [{"response": {}}]},
            "jwt": {"p": {"issuer": "i", "audiences": ["a"], "keys": {"file": str(file)}}},
        }
        return tabulate(convert(config, Config))

    async def follow() -> None:
        ours, theirs = socket.socketpair()
        with closing(ours), closing(theirs):
            verifier = Verifier(ours, Memory(os.memfd_create("keys")))
            for number in range(TABLES + 10):
                verifier.learn(table(number))
            assert len(verifier.questions) == TABLES
            assert len(verifier.sources) == TABLES
            assert timers() == TABLES

    loop.run(follow())
