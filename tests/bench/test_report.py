"""Medians, ratios, tables, JSON and the chart, from samples that are made up."""

import json
import math
from xml.etree import ElementTree

import pytest

from bench.chart import chart_text
from bench.report import (
    added,
    combined,
    document,
    json_text,
    number,
    ratio,
    rows,
    spread,
    table_text,
    timeline,
)
from bench.run import Outcome
from bench.scenarios import SCENARIOS
from bench.scenarios.figures import CPU, P50


@pytest.fixture
def outcome() -> Outcome:
    def samples(*cpu: float, p50: float) -> list[dict[str, float]]:
        return [{"cpu_us": value, "p50_us": p50, "failed": 0} for value in cpu]

    return Outcome(
        SCENARIOS["keepalive-64"],
        samples={
            "direct": samples(5, 5, 5, p50=100),
            "relay": samples(12, 10, 11, p50=150),
            "haproxy": samples(22, 20, 90, p50=300),
        },
        skipped={"envoy": "it is not there"},
    )


def test_a_median_is_not_moved_by_one_bad_round(outcome: Outcome) -> None:
    assert combined(outcome)["haproxy"]["cpu_us"] == 22


def test_a_failure_in_one_round_is_not_hidden(outcome: Outcome) -> None:
    outcome.samples["relay"][0]["failed"] = 5
    assert combined(outcome)["relay"]["failed"] == 5
    assert rows(outcome)[2][-1] == "5"
    outcome.samples["relay"][0]["failed_reset"] = 2
    outcome.samples["relay"][2]["failed_reset"] = 1
    assert "relay failed: 3 reset\n" in table_text(outcome)


def test_ratios_and_what_is_added(outcome: Outcome) -> None:
    values = combined(outcome)
    assert ratio(values, "haproxy", "relay", CPU) == 2.0
    assert math.isnan(ratio(values, "haproxy", "envoy", CPU))
    assert added(values, "haproxy", P50) == 200


def test_spread_is_percent_of_the_median(outcome: Outcome) -> None:
    assert spread(outcome, "relay", CPU) == pytest.approx(2 / 11 * 100)
    outcome.samples["relay"] = outcome.samples["relay"][:1]
    assert math.isnan(spread(outcome, "relay", CPU))


def test_the_table_has_a_cell_for_each_title(outcome: Outcome) -> None:
    table = rows(outcome)
    assert table[0][:5] == ["peer", "CPU/request us", "spread %", "x relay", "x haproxy"]
    assert {len(row) for row in table} == {len(table[0])}
    assert table[3][:5] == ["haproxy", "22.0", "318", "2.00", "1.00"]


def test_a_skipped_peer_is_named_with_its_reason(outcome: Outcome) -> None:
    assert table_text(outcome).endswith("envoy skipped: it is not there")


def test_json_keeps_all_rounds_and_has_null_for_what_is_not_known(outcome: Outcome) -> None:
    content = json.loads(json_text(document([outcome], {"relay": "1"}, {"rounds": 3})))
    haproxy = content["scenarios"][0]["peers"]["haproxy"]
    assert haproxy["cpu_us"]["rounds"] == [22, 20, 90]
    assert haproxy["cpu_us"]["per_relay"] == 2.0
    assert haproxy["pss_mb"]["value"] is None
    assert content["settings"] == {"rounds": 3}


def test_a_timeline_is_the_median_of_the_rounds_at_each_time(outcome: Outcome) -> None:
    for sample, rate in zip(outcome.samples["relay"], (10.0, 30.0, 20.0), strict=True):
        sample |= {"at_-0.25": 5.0, "at_1": rate}
    assert timeline(outcome, "relay") == {-0.25: 5, 1: 20}
    content = json.loads(json_text(document([outcome], {}, {})))
    assert content["scenarios"][0]["timelines"] == {"relay": {"-0.25": 5, "1.0": 20}}
    lines = ElementTree.fromstring(chart_text([outcome])).findall(".//{*}polyline")
    assert [line.get("points") for line in lines] == ["80.0,231.0 744.0,126.0"]


def test_what_never_came_is_no_number() -> None:
    assert [number(value, 1) for value in (math.inf, math.nan, 1.25)] == ["never", "-", "1.2"]


def test_the_bars_of_the_chart_are_as_long_as_the_figures(outcome: Outcome) -> None:
    svg = ElementTree.fromstring(chart_text([outcome]))
    bars = [float(bar.get("width", "")) for bar in svg.findall(".//{*}rect") if bar.get("width") != "100%"]
    assert bars[2] / bars[1] == pytest.approx(2.0, rel=0.01)
    texts = {text.text for text in svg.findall(".//{*}text")}
    assert "22.0 us" in texts


def test_the_chart_of_nothing_is_still_a_chart() -> None:
    assert ElementTree.fromstring(chart_text([])).tag.endswith("svg")
