"""Machines of a test's own, where that is permitted."""

from collections.abc import Callable, Iterator

import pytest

from tests.proxy.interception.namespaces import Namespace, NotPermitted, two_machines, why_not


@pytest.fixture(scope="module")
def machines(program: Callable[[str], str]) -> Iterator[tuple[Namespace, Namespace]]:
    """Two machines with a cable between them."""
    try:
        with two_machines(program("ip")) as made:
            yield made
    except NotPermitted as reason:
        pytest.skip(
            f"network namespaces are NOT PERMITTED here, so nothing is known of redirection: {reason}"
        )


@pytest.fixture(scope="module")
def can_redirect(
    machines: tuple[Namespace, Namespace], program: Callable[[str], str]
) -> Callable[[str], None]:
    """Skips, and says so, where the kernel has no rules of this kind for any program."""

    def check(tool: str) -> None:
        reason = why_not(machines[0], tool, program)
        if reason:
            pytest.skip(f"this kernel CANNOT redirect by {tool}, so nothing is known of it: {reason}")

    return check
