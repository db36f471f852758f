"""The scenarios, in the order in which they run."""

from bench.scenarios.balancing import BALANCING
from bench.scenarios.base import Entry, Sample, Scenario, Stage
from bench.scenarios.grpc import GRPC
from bench.scenarios.hedging import HEDGED
from bench.scenarios.http2 import HTTP2
from bench.scenarios.idle import IDLE
from bench.scenarios.limit import LIMITED
from bench.scenarios.mesh import MESH
from bench.scenarios.reload import RELOADS_UNDER_LOAD
from bench.scenarios.start import START
from bench.scenarios.storm import STORMS
from bench.scenarios.traffic import TRAFFIC

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        *TRAFFIC,
        *HTTP2,
        *GRPC,
        *IDLE,
        START,
        *RELOADS_UNDER_LOAD,
        BALANCING,
        HEDGED,
        *STORMS,
        LIMITED,
        *MESH,
    )
}

__all__ = ["SCENARIOS", "Entry", "Sample", "Scenario", "Stage"]
