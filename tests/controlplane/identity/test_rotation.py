"""Certificates are renewed at 2/3 of their life, not all at one moment."""

from hypothesis import given
from hypothesis import strategies as st

from tests.controlplane.identity.making import DAY, NOW, make
from tulle.controlplane.identity.inspect import facts_of
from tulle.controlplane.identity.rotation import chance_of, renew_at


@given(st.floats(1, 3650 * DAY), st.floats(0, 1))
def test_it_is_renewed_before_two_thirds_are_over(life: float, chance: float) -> None:
    due = renew_at(NOW, NOW + life, chance)
    assert NOW + life * 0.56 < due <= NOW + life * 2 / 3 + 1e-6


def test_nobody_is_warned_who_renews_in_time() -> None:
    facts = facts_of(make("web", begins=NOW, ends=NOW + DAY).certificate)
    assert renew_at(facts.not_before, facts.not_after, 0.0) <= facts.warn_from() + 1e-6


def test_chance_spreads_and_stays() -> None:
    fingerprints = [facts_of(make("web").certificate).fingerprint for _ in range(100)]
    chances = [chance_of(fingerprint) for fingerprint in fingerprints]
    assert chances == [chance_of(fingerprint) for fingerprint in fingerprints]
    assert all(0 <= chance <= 1 for chance in chances)
    # of 100 even draws, less than 15 or more than 85 are below a half in one of 10^12 cases
    assert 15 <= sum(chance < 0.5 for chance in chances) <= 85
