"""Start: from the command to the first byte that a client gets."""

from bench.scenarios.base import Sample, Scenario, Stage, memory
from bench.scenarios.figures import ALONE, FIRST_BYTE, PSS


def measure_start(stage: Stage) -> Sample:
    return {"first_byte_ms": stage.running.first_byte_seconds * 1e3, **memory(stage.running)}


START = Scenario(
    name="start",
    about="from the command to the first byte served",
    figures=(FIRST_BYTE, PSS, ALONE),
    measure=measure_start,
    fresh=True,
)
