"""When an endpoint is taken for healthy or unhealthy, from what its checks found. Pure."""

from typing import NamedTuple


class Standing(NamedTuple):
    """What an endpoint is taken for; `run`: checks in a row that found it otherwise."""

    unhealthy: bool
    checked: bool  # at least once
    run: int


def judge(
    standing: Standing,
    passed: bool,
    healthy_threshold: int,
    unhealthy_threshold: int,
    immediate: bool = False,
) -> Standing:
    """The standing after one more check. `immediate`: this failure alone is enough.

    The first check that ever passes is enough too: nothing bad is known of the endpoint.
    """
    if passed != standing.unhealthy:
        return Standing(standing.unhealthy, True, 0)
    run = standing.run + 1
    needed = healthy_threshold if passed else unhealthy_threshold
    if run >= needed or immediate or (passed and not standing.checked):
        return Standing(not passed, True, 0)
    return Standing(standing.unhealthy, standing.checked, run)
