"""No request fails for anything that happens to the control plane or to what follows it."""

import http.client
import json
import os
import signal
import threading

from tests.proxy.control.meshes import Mesh, Shop, applied, tulle
from tests.proxy.running import PATIENCE, Backend, Proxy, until

LEAST = 20  # requests that there are between one fault and the next


class Load:
    """Requests one after the other on a kept connection, until it is ended."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.done = 0
        self.failed: list[str] = []
        self.ending = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        while not self.ending:
            try:
                connection.request("GET", "/", headers={"host": "cart"})
                answer = connection.getresponse()
                body = answer.read()
                if (answer.status, body) != (200, b"backend"):
                    self.failed.append(f"{answer.status} {body!r} after {self.done}")
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{error!r} after {self.done}")
                connection.close()
            self.done += 1
        connection.close()

    def some_more(self) -> None:
        before = self.done
        until(lambda: self.done >= before + LEAST or self.failed, "requests")

    def end(self) -> None:
        self.ending = True
        self.thread.join(PATIENCE)


def follower(proxy: Proxy) -> int:
    """The process that follows the control plane, connected."""

    def found() -> int:
        standing = proxy.admin("/server_info")["control_plane"]
        return int(standing["pid"]) if standing.get("connected") else 0

    pid = int(until(found, "a follower that is connected"))
    assert pid > 1
    return pid


def change(mesh: Mesh, inbound: str, port: int, timeout: str) -> None:
    """Another connect time-out of a service: all of its callers compile anew."""
    path = mesh.document("127.0.0.1:1", [inbound], port)
    shop = json.loads(path.read_text())
    shop["services"]["cart"]["cluster"] = {"connect_timeout": timeout}
    path.write_text(json.dumps(shop))
    tulle("apply", "-f", path, "--wait", folder=mesh.folder)


def test_faults_under_load_and_under_change(shop: Shop, backend: Backend) -> None:
    mesh, web, _, outbound, inbound = shop
    port = int(backend.address.rpartition(":")[2])
    load = Load(outbound)
    try:
        load.some_more()
        change(mesh, inbound, port, "4s")
        load.some_more()

        mesh.kill()
        load.some_more()
        draft = mesh.folder / "draft"  # a change while it is away
        draft.write_text((mesh.folder / "mesh.d" / "shop.json").read_text().replace('"4s"', '"3s"'))
        draft.replace(mesh.folder / "mesh.d" / "shop.json")
        mesh.begin()
        until(lambda: web.said().count(": mesh ") >= 3, f"the change while it was away: {web.said()}")
        load.some_more()

        killed = follower(web)
        os.kill(killed, signal.SIGKILL)
        web.wait_for("the process that follows the control plane has ended; another begins")
        until(lambda: follower(web) != killed, "another follows")
        change(mesh, inbound, port, "2s")
        load.some_more()
        applied(mesh, "127.0.0.1:1", [inbound], port)
        load.some_more()
    finally:
        load.end()
    assert load.failed == []
    assert load.done >= 6 * LEAST
