"""Memory: what a connection costs that does nothing after its first request."""

from bench.load.own import held_connections
from bench.measure import pss
from bench.scenarios.base import MB, Sample, Scenario, Stage, failures
from bench.scenarios.figures import FAILED, PER_CONNECTION, PSS_AFTER, PSS_BEFORE

CONNECTIONS = 10_000


def measure_idle(stage: Stage) -> Sample:
    with held_connections(stage.port, "/", count=64, cpus=stage.load_cpus):
        pass
    before = pss(stage.running.pids())
    with held_connections(stage.port, "/", count=CONNECTIONS, cpus=stage.load_cpus) as result:
        after = pss(stage.running.pids())
    return {
        "bytes_per_connection": (after - before) / CONNECTIONS,
        "pss_before_mb": before / MB,
        "pss_after_mb": after / MB,
        **failures(result),
    }


IDLE = Scenario(
    name="idle",
    about=f"{CONNECTIONS:,} idle connections, one request made on each",
    figures=(PER_CONNECTION, PSS_BEFORE, PSS_AFTER, FAILED),
    measure=measure_idle,
    fresh=True,
    only=frozenset({"tulle", "haproxy", "nginx", "envoy"}),  # the relay needs twice the descriptors
)
