"""A sidecar with the configuration of an injected pod lets pass the pod's probes, and nothing else."""

import io
import json
import socket
from pathlib import Path

import yaml

from tests.proxy.conftest import Start
from tests.proxy.injection.test_kubernetes import templates
from tests.proxy.running import Backend
from tulle.controlplane.check import run_check
from tulle.proxy.injection.injector import inject
from tulle.proxy.injection.settings import CONFIG, Settings

POD = """\
kind: Pod
metadata: {{name: a}}
spec:
  containers:
  - name: a
    startupProbe: {{tcpSocket: {{port: {open}}}}}
    livenessProbe: {{tcpSocket: {{port: {closed}}}}}
    readinessProbe: {{httpGet: {{path: /well, port: {open}}}}}
"""


def test_probes_reach_the_application_and_nothing_else_does(
    start: Start, backend: Backend, tmp_path: Path
) -> None:
    port = backend.address.rpartition(":")[2]
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        closed = nobody.getsockname()[1]
        own = {"admin": {"address": f"unix:{tmp_path}/admin"}, "workers": 1}
        text, _ = inject(POD.format(open=port, closed=closed), "pod", Settings(config=own, ipv6=False))
        template = templates(text)[0]
        config = yaml.safe_load(template["metadata"]["annotations"][CONFIG])
        config["listeners"][0]["address"] = "127.0.0.1:0"
        proxy = start(json.loads(json.dumps(config))).ready()
        container = template["spec"]["containers"][0]

        def ask(probe: str) -> tuple[int, bytes]:
            return proxy.get(container[probe]["httpGet"]["path"], "tulle-probes")

        assert ask("readinessProbe") == (200, b"backend")
        assert ask("startupProbe") == (200, b"it takes connections\n")
        status, reason = ask("livenessProbe")
        assert (status, reason.startswith(f"port {closed} takes no connections: ".encode())) == (503, True)
        assert proxy.get("/tulle/ready", "tulle-probes") == (200, b"LIVE\n")
        for other in ("/", "/ready", "/reach?port=1", "/tulle/probes/a/livenessProbe?port=1", "/stats"):
            assert proxy.get(other, "tulle-probes")[0] == 404
        assert proxy.get(container["readinessProbe"]["httpGet"]["path"], "tulle-probes", "POST")[0] == 404


def test_the_configuration_that_a_pod_gets_is_a_right_one(tmp_path: Path) -> None:
    for settings in (Settings(), Settings(ipv6=False), Settings(rewrite_probes=False)):
        text, _ = inject(POD.format(open=8080, closed=8081), "pod", settings)
        (tmp_path / "tulle.yaml").write_text(templates(text)[0]["metadata"]["annotations"][CONFIG])
        said = io.StringIO()
        assert run_check(tmp_path / "tulle.yaml", said) == 0, said.getvalue()
        assert "warning" not in said.getvalue()
