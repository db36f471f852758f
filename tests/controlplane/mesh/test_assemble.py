"""A part of the mesh and a sidecar's file make the configuration that it runs by."""

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.controlplane.mesh.meshes import SHOP, mesh
from tulle.controlplane.identity import disk
from tulle.controlplane.identity.csr import make_request
from tulle.controlplane.identity.request import Identity, read_request
from tulle.controlplane.identity.spiffe import parse_workload
from tulle.controlplane.identity.store import create_store
from tulle.controlplane.load import check_model
from tulle.controlplane.mesh.assemble import assemble
from tulle.controlplane.mesh.part import part_of
from tulle.controlplane.mesh.saved import with_part
from tulle.controlplane.model import Config
from tulle.controlplane.problems import ConfigError
from tulle.controlplane.tabulate import tabulate

TRUST = "spiffe://shop.example/ns/shop/sa/"


def config(name: str, text: str = SHOP, folder: object = "/state", **own: Any) -> Config:
    local = {"addresses": ["h:1"], "state_dir": str(folder), "inbound_plain": "0.0.0.0:15008"}
    base = msgspec.convert({"control_plane": local} | own, Config)
    return assemble(base, {key: one.payload for key, one in part_of(mesh(text), TRUST + name).items()})


def test_what_is_called_goes_out_by_host() -> None:
    found = config("web")
    [outbound] = [one for one in found.listeners if one.name == "outbound"]
    assert (outbound.address, outbound.tls) == ("127.0.0.1:15001", None)
    [route] = found.routes["outbound"]
    assert route.name == "cart/canary"
    assert route.hostnames == ["cart", "cart.shop.example"]
    assert [backend.cluster for backend in route.backends] == ["cart", "cart-v2"]


def test_calls_that_are_redirected_go_where_they_were_meant_for_unless_they_are_of_the_mesh() -> None:
    local = {"addresses": ["h:1"], "state_dir": "/state", "original_destination": True}
    outbound = config("web", control_plane=local).listeners[0]
    assert (outbound.original_destination, outbound.outbound) == (True, "allow_any")
    only = config("web", control_plane={**local, "unknown": "registry_only"})
    assert only.listeners[0].outbound == "registry_only"
    table = tabulate(only)
    assert "passthrough" not in [cluster.name for cluster in table.clusters]
    with pytest.raises(ConfigError, match="unknown"):
        check_model(
            config("web", control_plane={**local, "original_destination": False, "unknown": "registry_only"})
        )


def test_it_goes_over_mutual_tls_to_whom_the_service_belongs() -> None:
    cluster = config("web").clusters["cart"]
    assert cluster.tls is not None
    assert cluster.tls.verify.uri == [TRUST + "cart"]
    assert cluster.protocol == "auto"
    assert (cluster.tls.ca, cluster.tls.key) == ("/state/bundle.pem", "/state/identity.key")
    assert [endpoint.address for endpoint in cluster.endpoints] == ["10.0.0.2:15006", "10.0.0.3:15006"]


def test_what_is_outside_is_called_in_plain() -> None:
    cluster = config("cart").clusters["payment"]
    assert (cluster.tls, cluster.protocol) == (None, "http1")


def test_what_is_served_comes_in_over_mutual_tls_only() -> None:
    found = config("web")
    assert [one.name for one in found.listeners] == ["outbound", "inbound"]
    inbound = found.listeners[1]
    assert inbound.tls is not None
    assert inbound.tls.client_ca == "/state/bundle.pem"
    [route] = found.routes["inbound"]
    assert (route.hostnames, route.backends[0].cluster) == ([], "application:web")
    assert found.clusters["application:web"].endpoints[0].address == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("host", "address"),
    [("10.0.0.7", "10.0.0.7:8080"), ("::1", "[::1]:8080"), ("app.local", "app.local:8080")],
)
def test_the_application_may_be_at_another_host(host: str, address: str) -> None:
    local = {"addresses": ["h:1"], "state_dir": "/state", "application_host": host}
    found = config("web", control_plane=local)
    assert found.clusters["application:web"].endpoints[0].address == address


@pytest.mark.parametrize("host", ["10.0.0.7:80", "a b", "1.2.3"])
def test_an_application_host_that_is_none_is_refused(host: str) -> None:
    local = {"addresses": ["h:1"], "state_dir": "/state", "application_host": host}
    with pytest.raises(
        ConfigError, match=r"control_plane\.application_host: .* is neither an IP address nor"
    ):
        check_model(msgspec.convert({"control_plane": local}, Config))


def test_several_services_are_told_apart_by_host() -> None:
    routes = config("cart").routes["inbound"]
    assert [(route.name, route.hostnames) for route in routes] == [
        ("cart", ["cart", "cart.shop.example"]),
        ("cart-v2", ["cart-v2"]),
    ]


@pytest.mark.parametrize(
    ("mode", "listeners"),
    [
        ("strict", {"outbound", "inbound"}),
        ("permissive", {"outbound", "inbound", "inbound-plain"}),
        ("off", {"outbound", "inbound-plain"}),
    ],
)
def test_ways_in(mode: str, listeners: set[str]) -> None:
    found = config("web", SHOP.replace("port: 8080", f"port: 8080\n    mtls: {mode}"))
    assert {one.name for one in found.listeners} == listeners


def test_policies_guard_the_ways_in() -> None:
    text = (
        SHOP
        + "defaults: {access: deny_all}\npolicies: {p: {services: [cart], rules: [{}]}, q: {action: deny}}"
    )
    found = config("cart", text)
    assert found.policies["p"].routes == {"inbound": ["cart"]}
    assert found.policies["q"].listeners == ["inbound"]
    assert found.policies["mesh:deny-all"].rules == []


def test_the_file_may_have_more() -> None:
    own: dict[str, Any] = {
        "listeners": [{"name": "own", "address": "127.0.0.1:1", "routes": "own"}],
        "routes": {"own": [{"backends": [{"cluster": "own"}]}]},
        "clusters": {"own": {}},
    }
    found = config("web", **own)
    assert [one.name for one in found.listeners] == ["own", "outbound", "inbound"]
    with pytest.raises(ConfigError, match=r"clusters\.cart: is of the mesh too"):
        config("web", clusters={"cart": {}})


def test_a_part_of_another_version_is_refused_with_its_name() -> None:
    base = msgspec.convert({"control_plane": {"addresses": ["h:1"], "state_dir": "/s"}}, Config)
    with pytest.raises(ConfigError, match="service a: of the control plane cannot be read"):
        assemble(base, {("service", "a"): msgspec.msgpack.encode({"news": 1})})
    assert assemble(base, {("news", "a"): b"\x01"}).clusters == {}


def test_every_part_is_a_valid_configuration(tmp_path: Path) -> None:
    now = time.time()
    store = create_store(tmp_path / "ca", "shop.example", now)
    key, request = make_request()
    allowed = Identity(parse_workload(TRUST + "web"))
    issued = store.issue(read_request(request), allowed, now)
    disk.write(tmp_path / "identity.key", key)
    disk.write(tmp_path / "identity.pem", issued.pem)
    disk.write(tmp_path / "bundle.pem", store.bundle())
    for mode in ("strict", "permissive", "off"):
        for access in ("allow_all", "deny_all"):
            text = SHOP + f"defaults: {{mtls: {mode}, access: {access}}}"
            for name in ("web", "cart", "stock", "unknown"):
                check_model(config(name, text, tmp_path))


def test_a_part_to_be_tried_that_is_not_there_is_refused_and_is_no_empty_mesh(tmp_path: Path) -> None:
    own = msgspec.convert({"control_plane": {"addresses": ["h:1"], "state_dir": str(tmp_path)}}, Config)
    assert with_part(own) == (own, "")
    with pytest.raises(ConfigError) as refused:
        with_part(own, tmp_path / "part.new")
    assert "part.new: cannot be read" in refused.value.problems[0].text("")
