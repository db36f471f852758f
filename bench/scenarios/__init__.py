"""The scenarios, in the order in which they run."""

from bench.scenarios.base import Sample, Scenario, Stage
from bench.scenarios.idle import IDLE
from bench.scenarios.reload import RELOADS_UNDER_LOAD
from bench.scenarios.start import START
from bench.scenarios.traffic import TRAFFIC

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for scenario in (*TRAFFIC, IDLE, START, *RELOADS_UNDER_LOAD)
}

__all__ = ["SCENARIOS", "Sample", "Scenario", "Stage"]
