"""Proxies and backends of a test's own."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proxy.running import Backend, Proxy

Start = Callable[..., Proxy]


@pytest.fixture
def backend() -> Iterator[Backend]:
    running = Backend()
    yield running
    running.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a proxy as `Proxy` says; it is ended after the test."""
    started: list[Proxy] = []
    numbers = itertools.count()

    def begin(*words: object, **options: object) -> Proxy:
        folder = tmp_path / f"proxy{next(numbers)}"
        folder.mkdir()
        started.append(Proxy(folder, *words, **options))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for proxy in started:
        proxy.end()
