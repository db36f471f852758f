"""Whole sidecars under a whole control plane: traffic between them, updates, and every part's loss."""

import http.client
import json
import signal
import subprocess
import sys

from tests.proxy.conftest import Start
from tests.proxy.control.meshes import Mesh, Shop, applied, call, environment, listening, ready, tulle
from tests.proxy.running import PATIENCE, Backend, until


def test_a_shop_with_its_control_plane_lost_and_its_sidecar_restarted(shop: Shop, start: Start) -> None:
    mesh, web, _, outbound, _ = shop
    assert ready(web) == (200, "LIVE\n")
    status = tulle("status", folder=mesh.folder)
    assert status.count("synced") == 2, status
    assert call(outbound, host="stock")[0] == 404
    version = web.admin("/server_info")["control_plane"]["version"]

    mesh.kill()
    until(lambda: "no control plane" in ready(web)[1], "what /ready says of the loss")
    assert ready(web)[0] == 200
    assert call(outbound) == (200, b"backend")
    assert "tulle_control_connected 0.0" in web.get("/metrics", "admin")[1].decode()

    web.signal(signal.SIGTERM)
    web.ended()
    again = start(json.loads(web.file.read_text())).ready()
    assert call(listening(again, "outbound")) == (200, b"backend")
    until(lambda: "no control plane" in ready(again)[1], "what /ready says of the loss")
    assert again.admin("/server_info")["control_plane"]["version"] == version

    mesh.begin()
    until(lambda: ready(again) == (200, "LIVE\n"), "the control plane again")
    until(lambda: web_state(mesh) == "synced", "in sync without another update")
    assert again.admin("/server_info")["control_plane"]["updates"] == 0
    mesh.end()


def web_state(mesh: Mesh) -> str:
    found = json.loads(tulle("get", "sidecars", "--format", "json", folder=mesh.folder))
    return next((one["state"] for one in found if one["identity"].endswith("/web")), "")


def test_an_endpoint_goes_while_a_request_runs_to_it(shop: Shop, backend: Backend) -> None:
    mesh, _, _, outbound, inbound = shop
    port = int(backend.address.rpartition(":")[2])
    connection = http.client.HTTPConnection(outbound, timeout=PATIENCE)
    connection.request("GET", "/held", headers={"host": "cart"})
    until(lambda: backend.held, "a request at the backend")
    applied(mesh, "127.0.0.1:1", [], port)
    assert call(outbound)[0] == 503
    backend.go.set()
    assert connection.getresponse().read() == b"backend"
    connection.close()
    applied(mesh, "127.0.0.1:1", [inbound], port)
    assert call(outbound) == (200, b"backend")


def test_what_a_sidecar_cannot_use_is_named_and_harms_nothing(shop: Shop, backend: Backend) -> None:
    mesh, web, _, outbound, inbound = shop
    port = int(backend.address.rpartition(":")[2])
    configuration = json.loads(web.file.read_text())
    configuration["clusters"] = {"stock": {}}
    web.reload(configuration)
    path = mesh.document("127.0.0.1:1", [inbound], port)
    shop = json.loads(path.read_text())
    shop["services"]["stock"] = {"endpoints": []}
    shop["services"]["web"]["calls"] = ["cart", "stock"]
    path.write_text(json.dumps(shop))
    said = tulle("apply", "-f", path, "--wait", folder=mesh.folder, status=1)
    assert "/ns/shop/sa/web" in said
    assert "clusters.stock: is of the mesh too" in said
    assert "clusters.stock" in tulle("status", folder=mesh.folder, status=1)
    assert call(outbound) == (200, b"backend")

    path.write_text(json.dumps({"services": {"web": {"calls": ["nobody"]}}}))
    said = tulle("apply", "-f", path, folder=mesh.folder, status=1)
    assert "services.web.calls[0]: there is no service 'nobody'" in said
    assert call(outbound) == (200, b"backend")


def test_a_service_registers_itself(shop: Shop, backend: Backend) -> None:
    mesh, _, _, outbound, inbound = shop
    port = int(backend.address.rpartition(":")[2])
    applied(mesh, "127.0.0.1:1", [], port)
    assert call(outbound)[0] == 503
    identity = mesh.folder / "state-cart"
    command = ["register", "cart", inbound, "--control", mesh.address, "--identity", str(identity)]
    registering = subprocess.Popen(
        [sys.executable, "-m", "tulle", *command],
        cwd=mesh.folder,
        env=environment(),
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: call(outbound)[0] == 200, "the registered endpoint")
    finally:
        registering.terminate()
        registering.wait(PATIENCE)
    until(lambda: call(outbound)[0] == 503, "the endpoint's end")
    differs = tulle("diff", "-f", mesh.document("127.0.0.1:1", [inbound], port), folder=mesh.folder, status=1)
    assert "~ endpoints cart" in differs
    assert "cart" in tulle("get", "services", folder=mesh.folder)
