"""Two control planes on one etcd: what one is told both know; a sidecar that changes over is sent nothing."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.controlplane.plane.etcds import cluster
from tests.controlplane.plane.running import CART, Plane, enrol, spiffe, stage, until
from tulle.controlplane.address import SocketAddress
from tulle.controlplane.client import dial
from tulle.controlplane.identity.tokens import read_claims


async def ask(plane: Plane, path: str, body: bytes) -> object:
    place = SocketAddress(str(plane.folder / "mesh.sock"), None)
    async with dial.connection(place, None) as own:
        status, answer = await dial.ask(own, "POST", path, body)
    assert status == 200, answer
    return json.loads(answer)


def test_two_control_planes_are_one(program: Callable[[str], str], tmp_path: Path) -> None:
    with cluster(program("etcd"), tmp_path) as [member]:
        etcd = f", etcd: {{endpoints: ['{member.url}']}}"
        member.put("/tulle/documents/cart.yaml", CART % "10.0.0.2:15006")

        async def scene() -> None:
            async with stage(tmp_path / "one", more=etcd) as found:
                first = found.plane
                second = await Plane(tmp_path / "two", more=etcd, other=first).begin()
                try:
                    token = first.token("web")
                    web = found.sidecar("web", token, addresses=[first.address, second.address])
                    await until(lambda: web.standing.connected and web.installed, "the part")
                    await until(lambda: first.states() | second.states() == {spiffe("web"): "synced"}, "sync")
                    assert (await enrol(found, token))[0] == 401
                    claims = read_claims(token)
                    assert not await second.program.store.use(claims.id, claims.expires, time.time())

                    new = (CART % "10.0.0.9:15006").encode()
                    done = await ask(second, "/v1/apply?name=cart.yaml", new)
                    assert done["identities"] == 1  # type: ignore[index]
                    await until(lambda: b"10.0.0.9" in web.endpoints("cart"), "what the second was told")

                    assert not any("mesh is refused" in line for line in first.said + second.said)

                    lease = {"service": "cart", "endpoint": {"address": "10.0.0.10:1"}}
                    await ask(first, "/v1/leases", json.dumps(lease).encode())
                    await until(lambda: b"10.0.0.10" in web.endpoints("cart"), "what has registered")

                    serving = first if spiffe("web") in first.states() else second
                    other = second if serving is first else first
                    installed = len(web.installed)
                    await serving.end()
                    await until(lambda: other.states().get(spiffe("web")) == "synced", "the other one")
                    assert len(web.installed) == installed
                    if serving is first:
                        await first.begin()
                finally:
                    await second.end()

        asyncio.run(scene())
