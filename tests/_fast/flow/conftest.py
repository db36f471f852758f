"""Sidecars for the tests of a module: equal ones are started once."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests._fast.flow.lab import Lab
from tests._fast.flow.papers import Papers

Laboratory = Callable[..., Lab]


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Lab]]:
    started: dict[str, Lab] = {}
    yield started
    for lab in started.values():
        lab.close()


@pytest.fixture
def laboratory(labs: dict[str, Lab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """A lab with these sections of `make_config`, shared by the tests of the module, left quiet by each."""
    used: list[Lab] = []

    def make(**sections: Any) -> Lab:
        key = json.dumps(sections, sort_keys=True)
        if key not in labs:
            labs[key] = Lab(tmp_path_factory.mktemp("lab"), **sections)
        if labs[key] not in used:
            used.append(labs[key])
        return labs[key]

    yield make
    for lab in used:
        lab.tidy()


@pytest.fixture
def lab(laboratory: Laboratory) -> Lab:
    """The plain one."""
    return laboratory()


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """A root of the module's own, and certificates from it."""
    return Papers(tmp_path_factory.mktemp("papers"))
