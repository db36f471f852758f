"""Tulle itself, as people start it: `tulle proxy -c FILE --workers 1`."""

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

from bench.demand import (
    BUSY_LIMIT,
    CONNECTION_LIMIT,
    SERVER_NAME,
    VERSION_PATH,
    Demand,
    Policy,
    cluster_name,
    route_path,
)
from bench.measure import PROC
from bench.peers.base import Peer
from bench.process import ROOT, Failed, Running, python_module


class Tulle(Peer):
    name = "tulle"

    def missing(self) -> str | None:
        if importlib.util.find_spec("tulle.proxy.cli") is None:
            return "this checkout has no tulle.proxy.cli"
        return None

    def version(self) -> str:
        from tulle import __version__

        return __version__

    def files(self, demand: Demand, folder: Path) -> dict[str, str]:
        config = _config(demand, folder)
        if not demand.yaml:
            return {"tulle.json": json.dumps(config)}
        import yaml

        return {"tulle.yaml": yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False)}

    def command(self, demand: Demand, folder: Path) -> list[str]:
        config = folder / ("tulle.yaml" if demand.yaml else "tulle.json")
        return python_module(
            "tulle", "proxy", "-c", config, "--workers", demand.workers, "--pid-file", folder / "tulle.pid"
        )

    def refuses(self, demand: Demand, folder: Path) -> str | None:
        """What this checkout says about the configuration: it may not have learnt a policy yet."""
        from tulle.controlplane.load import Document, load_document
        from tulle.controlplane.problems import ConfigError

        (text,) = self.files(demand, folder).values()
        try:
            load_document(Document(text.encode(), "yaml" if demand.yaml else "json"))
        except ConfigError as error:
            return "; ".join(f"{problem.path}: {problem.message}" for problem in error.problems)
        return None

    def traffic(self, running: Running) -> list[int]:
        names = {pid: (PROC / str(pid) / "comm").read_text().strip() for pid in running.pids()}
        return [pid for pid, name in names.items() if name == "tulle-worker"]

    def signal_reload(self, running: Running) -> None:
        command = python_module("tulle", "reload", "--pid-file", running.folder / "tulle.pid")
        finished = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if finished.returncode:
            raise Failed(f"tulle reload refused (status {finished.returncode}): {finished.stderr.strip()}")


def _config(demand: Demand, folder: Path) -> dict[str, Any]:
    policy = _route_policy(demand.policy)
    routes: list[dict[str, Any]] = [
        {
            "matches": [{"path": {"prefix": route_path(route)}}],
            "backends": [{"cluster": demand.cluster_of(route)}],
            **policy,
        }
        for route in range(demand.routes)
    ] or [{"backends": [{"cluster": cluster_name(0)}], **policy}]
    if demand.version is not None:
        answer = {"status": 200, "body": demand.version_body}
        routes.append({"matches": [{"path": {"exact": VERSION_PATH}}], "response": answer})
    return {
        "access_log": {"path": f"{folder}/access.log", "format": "json" if demand.access_log else "off"},
        "listeners": [
            {
                "name": "bench",
                "address": f"127.0.0.1:{demand.port}",
                "routes": "main",
                **({"protocol": "tcp"} if demand.raw else {}),
                **_listener_tls(demand),
            }
        ],
        "routes": {"main": routes},
        "clusters": {
            cluster_name(cluster): {
                "endpoints": [{"address": f"127.0.0.1:{port}"} for port in demand.endpoints],
                **_cluster_policy(demand.policy),
                **_cluster_tls(demand),
                **({"protocol": "http2"} if demand.http2 else {}),
            }
            for cluster in range(demand.clusters)
        },
    }


def _listener_tls(demand: Demand) -> dict[str, Any]:
    papers = demand.takes_tls()
    if not papers:
        return {}
    return {"tls": {"certificate": papers.certificate, "key": papers.key, "client_ca": papers.ca}}


def _cluster_tls(demand: Demand) -> dict[str, Any]:
    papers = demand.makes_tls()
    if not papers:
        return {}
    own = {"certificate": papers.certificate, "key": papers.key, "ca": papers.ca}
    return {"tls": {**own, "sni": SERVER_NAME}}


FAILURE_RATE = {"window": "2s", "open": "250ms", "max_open": "500ms"}


def _route_policy(policy: Policy) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if policy.timeout or policy.try_timeout:
        said["timeouts"] = {"request": f"{policy.timeout:g}s", "per_try": f"{policy.try_timeout:g}s"}
    if policy.rate_limit:
        said["rate_limits"] = [policy.rate_limit._asdict()]
    if policy.retries:
        said["retries"] = {"attempts": policy.retries, "on": ["5xx", "reset", "connect-failure"]}
    if policy.hedge_delay:
        said["hedging"] = {"delay": f"{policy.hedge_delay:g}s"}
    elif policy.hedge_quantile:
        said["hedging"] = {"quantile": policy.hedge_quantile}
    return said


def _cluster_policy(policy: Policy) -> dict[str, Any]:
    limits: dict[str, Any] = {"max_connections": CONNECTION_LIMIT}
    if policy.retry_budget or policy.hedge_delay or policy.hedge_quantile:
        limits["retry_budget"] = {}
    elif policy.retries:
        limits["max_retries"] = None
    if policy.breaker:
        limits |= {"max_requests": BUSY_LIMIT, "failure_rate": FAILURE_RATE}
    elif policy.retries or policy.patient:
        limits |= {"max_requests": None, "max_pending_requests": None}
    said: dict[str, Any] = {"circuit_breaker": limits}
    if policy.balancer != "round_robin":
        said["load_balancer"] = policy.balancer
    if policy.choices != 2:
        said["choices"] = policy.choices
    if policy.ejection:
        said["outlier_detection"] = {}
    return said
