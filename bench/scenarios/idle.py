"""Memory: what a connection costs that does nothing after its first request."""

from bench.load.own import held_connections
from bench.load.secure import held_secure_connections
from bench.measure import pss
from bench.process import Failed
from bench.scenarios.base import MB, Sample, Scenario, Stage, failures
from bench.scenarios.figures import FAILED, PER_CONNECTION, PSS_AFTER, PSS_BEFORE

CONNECTIONS = 10_000
SECURE_CONNECTIONS = 2_000
FIRST = 64  # connections that a proxy has had before it is measured
PROXIES = frozenset({"tulle", "haproxy", "nginx", "envoy"})  # the relay needs twice the descriptors


def measure_idle(stage: Stage) -> Sample:
    with held_connections(stage.port, "/", count=FIRST, cpus=stage.load_cpus):
        pass
    before = pss(stage.running.pids())
    with held_connections(stage.port, "/", count=CONNECTIONS, cpus=stage.load_cpus) as result:
        after = pss(stage.running.pids())
    return {**per_connection(before, after, CONNECTIONS), **failures(result)}


def measure_idle_secure(stage: Stage) -> Sample:
    papers = stage.demand.secure
    if papers is None:
        raise Failed("there are no papers")
    try:
        with held_secure_connections(stage.port, papers, count=FIRST, cpus=stage.load_cpus):
            pass
        before = pss(stage.running.pids())
        with held_secure_connections(stage.port, papers, count=SECURE_CONNECTIONS, cpus=stage.load_cpus):
            after = pss(stage.running.pids())
    except OSError as error:
        raise Failed(f"a connection could not be made: {error}") from None
    return per_connection(before, after, SECURE_CONNECTIONS)


def per_connection(before: float, after: float, count: int) -> Sample:
    return {
        "bytes_per_connection": (after - before) / count,
        "pss_before_mb": before / MB,
        "pss_after_mb": after / MB,
    }


IDLE = (
    Scenario(
        name="idle",
        about=f"{CONNECTIONS:,} idle connections, one request made on each",
        figures=(PER_CONNECTION, PSS_BEFORE, PSS_AFTER, FAILED),
        measure=measure_idle,
        fresh=True,
        only=PROXIES,
    ),
    Scenario(
        name="idle-tls",
        about=f"{SECURE_CONNECTIONS:,} idle connections of mutual TLS, one request made on each",
        figures=(PER_CONNECTION, PSS_BEFORE, PSS_AFTER),
        measure=measure_idle_secure,
        secure="server",
        fresh=True,
        only=PROXIES,
    ),
)
