"""Groups: which hosts a set has, and a million draws against the exact shares of priorities and zones."""

import socket
import struct
from collections.abc import Sequence

import pytest

from tests._fast.policy.grouping import Groups
from tests.chance import chi_square_limit, deviation
from tulle._fast.policy.endpoints_writer import write_endpoints
from tulle.controlplane.address import SocketAddress
from tulle.controlplane.grouping import ClusterEndpoints, Server, cut, zone_kind
from tulle.controlplane.table import ClusterRow, Pairs, ZoneAwareRow

PICKS = 1_000_000
DOWN, UP, RESTING, BARRED = range(4)  # Availability
V1: Pairs = (("version", "v1"),)
V2: Pairs = (("version", "v2"),)


def server(weight: int = 1, zone: str = "", priority: int = 0, metadata: Pairs = ()) -> Server:
    return Server(SocketAddress("127.0.0.1", 1), weight, zone, priority, metadata)


def segment_of(
    servers: Sequence[Server],
    zone: str = "",
    smallest: int | None = None,
    subsets: tuple[Pairs, ...] = (),
    threshold: int = 50,
    fall_back: bool = False,
) -> bytes:
    """An endpoints segment of one cluster; `smallest` is its min_cluster_size, None: zones mean nothing."""
    zone_aware = None if smallest is None else ZoneAwareRow(smallest)
    row = ClusterRow("c", (), "random", 2, *[0] * 10, zone_aware=zone_aware, subsets=subsets)  # type: ignore[call-arg]
    address = struct.pack("=H", socket.AF_INET) + bytes(14)
    endpoints = [
        (index, 1, each.weight, "", each.zone, address, each.priority, zone_kind(row, each, zone), "")
        for index, each in enumerate(servers)
    ]
    cluster = ClusterEndpoints(
        endpoints, threshold, zone_aware is not None and zone != "", fall_back, cut(row, servers, zone)
    )
    return bytes(write_endpoints([cluster], 1, 1))


def assert_shares(counts: Sequence[int], shares: Sequence[float]) -> None:
    """Of each endpoint; what is picked of none is nothing."""
    assert counts[-1] == 0, f"{counts[-1]} picks of nobody"
    drawn = sum(share > 0 for share in shares)
    assert sum(shares) == pytest.approx(1)
    expected = [sum(counts) * share for share in shares]
    assert deviation(counts[:-1], expected) < chi_square_limit(drawn - 1)


# -- one group --------------------------------------------------------------------------------------------


def test_a_cluster_without_all_this_is_one_plain_group() -> None:
    groups = Groups(segment_of([server(3), server(1), server(2)]))
    assert groups.plain()
    assert groups.states() == [(1.0, False)]
    assert_shares(groups.counts(0, PICKS), [3 / 6, 1 / 6, 2 / 6])


def test_a_plain_group_below_the_threshold_is_in_a_panic() -> None:
    groups = Groups(segment_of([server()] * 4))
    groups.look([UP, UP, DOWN, DOWN])
    assert groups.plain()
    assert_shares(groups.counts(0, PICKS), [0.5, 0.5, 0, 0])
    groups.look([UP, DOWN, DOWN, DOWN])
    assert not groups.plain()
    assert groups.states() == [(1.0, True)]
    assert_shares(groups.counts(0, PICKS), [0.25] * 4)
    groups.look([DOWN] * 4)
    assert_shares(groups.counts(0, PICKS), [0.25] * 4)
    groups.look([UP] * 4)
    assert groups.plain()


def test_the_threshold_is_of_weight() -> None:
    groups = Groups(segment_of([server(6), server(2), server(2)]))
    groups.look([UP, DOWN, DOWN])
    assert groups.states() == [(1.0, False)]
    groups.look([DOWN, UP, UP])
    assert groups.states() == [(1.0, True)]


def test_a_barred_host_is_not_even_used_in_a_panic() -> None:
    groups = Groups(segment_of([server()] * 4))
    groups.look([BARRED, DOWN, DOWN, UP])
    assert groups.states() == [(1.0, True)]
    assert_shares(groups.counts(0, PICKS), [0, 1 / 3, 1 / 3, 1 / 3])
    groups.look([BARRED] * 4)
    assert groups.counts(0, 10)[-1] == 10


def test_hosts_that_rest_are_used_when_no_other_of_the_set_is_up() -> None:
    servers = [server(), server(), server(), server(priority=1)]
    groups = Groups(segment_of([server()] * 4))
    groups.look([RESTING, RESTING, RESTING, UP])
    assert groups.states() == [(1.0, False)], "they are well: no panic"
    assert_shares(groups.counts(0, 1000), [0, 0, 0, 1])
    groups.look([RESTING, RESTING, DOWN, DOWN])
    assert_shares(groups.counts(0, PICKS), [0.5, 0.5, 0, 0])
    groups = Groups(segment_of(servers))
    groups.look([RESTING, UP, RESTING, UP])
    assert_shares(groups.counts(0, PICKS), [0, 1.4 / 3, 0, 1 - 1.4 / 3])
    groups.look([RESTING, DOWN, RESTING, DOWN])
    assert_shares(groups.counts(0, 1000), [0.5, 0, 0.5, 0])


def test_without_a_threshold_hosts_that_are_down_get_nothing() -> None:
    groups = Groups(segment_of([server()] * 3, threshold=0))
    groups.look([DOWN, UP, DOWN])
    assert_shares(groups.counts(0, PICKS), [0, 1, 0])
    groups.look([DOWN] * 3)
    assert groups.counts(0, 10)[-1] == 10


def test_endpoints_that_are_left_out_take_no_part() -> None:
    servers = [server(priority=index % 2) for index in range(4)]
    groups = Groups(segment_of(servers), absent=[0])
    assert_shares(groups.counts(0, PICKS), [0, 0, 1, 0])
    assert Groups(segment_of(servers), absent=range(4)).counts(0, 10)[-1] == 10
    assert Groups(segment_of([])).counts(0, 10)[-1] == 10


# -- priorities -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [0, 1, 2], ids=["round_robin", "least_request", "random"])
def test_load_goes_over_to_the_next_priority_by_health(algorithm: int) -> None:
    """Half of the first usable: 70 % stay."""
    servers = [*[server(priority=3)] * 4, *[server(2, priority=7)] * 2]
    groups = Groups(segment_of(servers))
    groups.look([UP, DOWN, UP, DOWN, UP, UP])
    assert groups.states() == [(pytest.approx(0.7), False), (pytest.approx(0.3), False)]
    counts = groups.counts(0, PICKS, algorithm)
    assert_shares(
        [sum(counts[:4]), sum(counts[4:6]), 0],
        [0.7, 0.3],
    )
    assert counts[1] == counts[3] == 0


def test_priorities_in_the_order_of_their_numbers() -> None:
    groups = Groups(segment_of([server(priority=2), server(priority=0), server(priority=1)]))
    assert_shares(groups.counts(0, 1000), [0, 1, 0])
    groups.look([UP, DOWN, UP])
    assert_shares(groups.counts(0, 1000), [0, 0, 1])
    groups.look([UP, DOWN, DOWN])
    assert_shares(groups.counts(0, 1000), [1, 0, 0])


def test_when_no_priority_has_enough_each_gets_by_what_it_has() -> None:
    """5 % and 65 % usable: 7 % and 91 % can be carried. The first is in a panic and uses all."""
    servers = [*[server()] * 20, *[server(priority=1)] * 20]
    groups = Groups(segment_of(servers))
    groups.look([UP, *[DOWN] * 19, *[UP] * 13, *[DOWN] * 7])
    first, second = 0.07 / 0.98, 0.91 / 0.98
    assert groups.states() == [(pytest.approx(first), True), (pytest.approx(second), False)]
    assert_shares(groups.counts(0, PICKS), [*[first / 20] * 20, *[second / 13] * 13, *[0.0] * 7])


def test_when_all_priorities_are_in_a_panic_size_counts() -> None:
    servers = [server(3), server(1), server(2, priority=1), server(2, priority=1)]
    groups = Groups(segment_of(servers))
    groups.look([DOWN] * 4)
    assert groups.states() == [(0.5, True), (0.5, True)]
    assert_shares(groups.counts(0, PICKS), [3 / 8, 1 / 8, 2 / 8, 2 / 8])


# -- zones ------------------------------------------------------------------------------------------------


def test_requests_stay_in_the_own_zone() -> None:
    servers = [server(zone=zone) for zone in "abcabc"]
    groups = Groups(segment_of(servers, "b", 6))
    assert not groups.plain(), "they are counted"
    assert_shares(groups.counts(0, PICKS), [0, 0.5, 0, 0, 0.5, 0])


@pytest.mark.parametrize("algorithm", [0, 1, 2], ids=["round_robin", "least_request", "random"])
def test_requests_spill_over_as_local_hosts_fail(algorithm: int) -> None:
    servers = [server(zone=zone) for zone in "aaabbbccc"]
    groups = Groups(segment_of(servers, "a", 6))
    groups.look([DOWN, *[UP] * 8])
    local = 1.4 * 2 / 8 * 3
    assert local > 1
    assert_shares(groups.counts(0, PICKS, algorithm), [0, 0.5, 0.5, *[0.0] * 6])
    groups.look([DOWN, DOWN, *[UP] * 7])
    local = 1.4 * 1 / 7 * 3
    counts = groups.counts(0, PICKS, algorithm)
    away = (1 - local) / 2
    assert_shares([counts[2], sum(counts[3:6]), sum(counts[6:9]), 0], [local, away, away])
    groups.look([DOWN, DOWN, DOWN, *[UP] * 6])
    assert_shares(groups.counts(0, PICKS), [0, 0, 0, *[1 / 6] * 6])


def test_a_small_cluster_does_not_heed_zones() -> None:
    servers = [server(zone=zone) for zone in "aabbb"]
    assert_shares(Groups(segment_of(servers, "a", 6)).counts(0, PICKS), [0.2] * 5)
    assert_shares(Groups(segment_of(servers, "a", 5)).counts(0, PICKS), [0.5, 0.5, 0, 0, 0])
    assert_shares(Groups(segment_of(servers, "", 5)).counts(0, PICKS), [0.2] * 5)
    assert_shares(Groups(segment_of(servers, "c", 5)).counts(0, PICKS), [0.2] * 5)
    assert_shares(Groups(segment_of(servers, "a", None)).counts(0, PICKS), [0.2] * 5)


def test_in_a_panic_zones_mean_nothing() -> None:
    """The local hosts may be those that are truly down."""
    servers = [server(zone=zone) for zone in "aabbcc"]
    groups = Groups(segment_of(servers, "a", 6))
    groups.look([DOWN, UP, UP, DOWN, DOWN, DOWN])
    assert_shares(groups.counts(0, PICKS), [1 / 6] * 6)


def test_zones_within_priorities() -> None:
    """The first priority has half of its weight: 70 %, all of it in the own zone."""
    servers = [*[server(zone=zone) for zone in "aabb"], *[server(zone=zone, priority=1) for zone in "ab"]]
    groups = Groups(segment_of(servers, "a", 2))
    groups.look([UP, UP, DOWN, DOWN, UP, UP])
    assert_shares(groups.counts(0, PICKS), [0.35, 0.35, 0, 0, 0.3, 0])


# -- subsets ----------------------------------------------------------------------------------------------


def test_a_subset_has_the_endpoints_that_match_all_of_it() -> None:
    both: Pairs = (("tier", "x"), ("version", "v1"))
    servers = [server(metadata=V1), server(metadata=V2), server(2, metadata=both), server(metadata=())]
    groups = Groups(segment_of(servers, subsets=(V1, V2, both, (("version", "v3"),))))
    assert groups.plain(), "for backends without a subset"
    assert_shares(groups.counts(0, PICKS), [1 / 5, 1 / 5, 2 / 5, 1 / 5])
    assert_shares(groups.counts(1, PICKS), [1 / 3, 0, 2 / 3, 0])
    assert_shares(groups.counts(2, PICKS), [0, 1, 0, 0])
    assert_shares(groups.counts(3, PICKS), [0, 0, 1, 0])
    assert groups.counts(4, 10)[-1] == 10


def test_a_subset_is_found_where_it_was_and_where_it_is_now() -> None:
    servers = [server(metadata=V1), server(metadata=V2)]
    before = Groups(segment_of(servers, subsets=(V1, V2)))
    after = Groups(segment_of(servers, subsets=(V2,)))
    assert len({before.key(number) for number in range(3)}) == 3
    assert before.find(2, before.key(2)) == 2
    assert after.find(2, before.key(2)) == 1
    assert after.find(1, before.key(1)) == -1
    assert after.find(0, 0) == 0


def test_health_is_that_of_the_subset() -> None:
    """The first priority of v1 is down, of v2 it is not."""
    servers = [
        server(metadata=V1), server(metadata=V2), server(priority=1, metadata=V1), server(priority=1),
    ]  # fmt: skip
    groups = Groups(segment_of(servers, subsets=(V1, V2)))
    groups.look([DOWN, UP, UP, UP])
    assert_shares(groups.counts(1, PICKS), [0, 0, 1, 0])
    assert_shares(groups.counts(2, PICKS), [0, 1, 0, 0])
    assert_shares(groups.counts(0, PICKS), [0, 0.7, 0.15, 0.15])


def test_a_subset_falls_back_when_nothing_of_it_can_be_used() -> None:
    servers = [server(metadata=V1), server(metadata=V2), server(metadata=V2)]
    for fall_back in (False, True):
        groups = Groups(segment_of(servers, subsets=(V1, (("a", "b"),)), fall_back=fall_back))
        assert [groups.falls_back(number) for number in range(3)] == [False, False, fall_back]
        groups.look([DOWN, UP, UP])
        assert groups.falls_back(1) is fall_back
        assert groups.states(1) == [(1.0, True)], "who does not fall back uses what there is"
        groups.look([UP, UP, UP])
        assert not groups.falls_back(1)
