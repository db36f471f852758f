"""Mutual TLS: a pair of sidecars (client, plain, A, TLS, B, plain, backend), and what a handshake costs."""

import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

from bench.cpus import on_cpus
from bench.load.own import Load
from bench.load.wrk import run_wrk
from bench.measure import memory_alone, pss
from bench.process import Failed
from bench.scenarios.base import MB, Sample, Scenario, Stage, memory, metered
from bench.scenarios.figures import BYTES_RATE, CPU, CPU_PER_GB, FAILED, P50, P99, RATE, Figure
from bench.scenarios.traffic import BODY, sample_of

PROXIES = frozenset({"tulle", "haproxy", "nginx", "envoy"})
PSS_EACH = Figure("pss_each_mb", "PSS a sidecar", "MB")
ALONE_EACH = Figure("alone_each_mb", "alone", "MB")
PER_HANDSHAKE = Figure("handshake_us", "CPU/handshake", "us", ratios=True)
PER_CPU_SECOND = Figure("handshakes_per_cpu", "handshakes", "/CPU s", digits=0)


def measure_pair(stage: Stage, *, connections: int, path: str = "/", upload: int = 0) -> Sample:
    """The CPU time of both sidecars, and the memory of one."""
    both = (stage.running, *stage.behind)
    with metered(*both) as meter:
        if upload:
            with Load(
                stage.port, (path,), connections=connections, seconds=stage.seconds, cpus=stage.load_cpus,
                upload=upload,
            ) as load:  # fmt: skip
                result = load.result()
        else:
            result = run_wrk(
                stage.port, path, connections=connections, seconds=stage.seconds, cpus=stage.load_cpus
            )
    pids = [pid for each in both for pid in each.pids()]
    each = {"pss_each_mb": pss(pids) / MB / len(both), "alone_each_mb": memory_alone(pids) / MB / len(both)}
    return sample_of(result, meter, stage, sent=upload) | each


def measure_handshakes(stage: Stage, *, reuse: bool) -> Sample:
    """Connections with a client certificate, each with one request, from `openssl s_time`."""
    secure = stage.demand.secure
    program = shutil.which("openssl")
    if secure is None or program is None:
        raise Failed("openssl is not installed: apt-get install openssl")
    papers = Path(secure.folder)
    command = [
        program, "s_time", "-connect", f"127.0.0.1:{stage.port}", "-time", str(stage.seconds), "-www", "/",
        "-CAfile", secure.ca, "-cert", str(papers / "client.crt"), "-key", str(papers / "client.key"),
        "-reuse" if reuse else "-new",
    ]  # fmt: skip
    with metered(stage.running) as meter, on_cpus(stage.load_cpus):
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    counts = [
        int(count) for count in re.findall(r"^(\d+) connections in \d+ real seconds", said, re.MULTILINE)
    ]
    if not counts or not counts[-1]:
        raise Failed(f"openssl s_time has made no connection: {said.strip()[-300:]}")
    return {
        "handshake_us": meter.cpu / counts[-1] * 1e6,
        "handshakes_per_cpu": counts[-1] / meter.cpu,
        **memory(stage.running),
    }


MESH = (
    Scenario(
        name="mesh",
        about="a pair of sidecars with mutual TLS between them, 64 keep-alive connections, both together",
        figures=(CPU, RATE, P50, P99, PSS_EACH, ALONE_EACH, FAILED),
        measure=partial(measure_pair, connections=64),
        secure="pair",
        only=PROXIES,
    ),
    Scenario(
        name="mesh-h2",
        about="as mesh, with HTTP/2 between the two of Tulle and of Envoy",
        figures=(CPU, RATE, P50, P99, PSS_EACH, ALONE_EACH, FAILED),
        measure=partial(measure_pair, connections=64),
        secure="pair",
        http2=True,
        only=PROXIES,
    ),
    Scenario(
        name="mesh-download",
        about="responses of 10 MB through the pair, 4 connections",
        figures=(CPU_PER_GB, BYTES_RATE, PSS_EACH, FAILED),
        measure=partial(measure_pair, connections=4, path=f"/bytes/{BODY}"),
        secure="pair",
        only=PROXIES,
    ),
    Scenario(
        name="mesh-upload",
        about="request bodies of 10 MB through the pair, 4 connections",
        figures=(CPU_PER_GB, BYTES_RATE, PSS_EACH, FAILED),
        measure=partial(measure_pair, connections=4, upload=BODY),
        secure="pair",
        only=PROXIES,
    ),
    Scenario(
        name="handshakes",
        about="full handshakes of mutual TLS, each with one request, one after the other",
        figures=(PER_HANDSHAKE, PER_CPU_SECOND),
        measure=partial(measure_handshakes, reuse=False),
        secure="server",
        only=PROXIES,
    ),
    Scenario(
        name="handshakes-resumed",
        about="as handshakes, with a session that is resumed",
        figures=(PER_HANDSHAKE, PER_CPU_SECOND),
        measure=partial(measure_handshakes, reuse=True),
        secure="server",
        only=PROXIES,
    ),
)
