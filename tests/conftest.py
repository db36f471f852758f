"""What every test may ask for."""

import os
import shutil
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """The path of a program that a test runs as a peer: `program("nginx")`.

    A test whose peer is not installed is skipped, but fails under CI (the environment has `CI` set), where
    all of them must be there.
    """

    def find(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
        if path is not None:
            return path
        message = f"{name} is not installed; on Debian see `apt-cache search {name}`"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)

    return find
