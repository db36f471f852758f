"""DNS as a source, against a server that tells what a test wants it to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import dns.message
import dns.rcode
import dns.rrset
import pytest

from tests.controlplane.plane.running import stage, until
from tulle.controlplane.load import Document
from tulle.controlplane.mesh.load import Part, parse_part
from tulle.controlplane.plane.sources import names
from tulle.controlplane.plane.sources.names import Names, Resolver


class Server(asyncio.DatagramProtocol):
    """Answers from `records`, by name and type; with `rcode` when it is not NOERROR; or not at all."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.ttl = 1
        self.rcode = dns.rcode.NOERROR
        self.silent = False
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.address = "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.asked += 1
        if self.silent:
            return
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.set_rcode(self.rcode)
        asked = query.question[0]
        kind = dns.rdatatype.to_text(asked.rdtype)
        found = self.records.get((asked.name.to_text(omit_final_dot=True), kind), [])
        if found and self.rcode == dns.rcode.NOERROR:
            answer.answer.append(dns.rrset.from_text(asked.name, self.ttl, "IN", kind, *found))
        self.transport.sendto(answer.to_wire(), address)


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def following(server: Server, told: str) -> AsyncIterator[Names]:
    found = Names(Resolver([server.address]), lambda line: None)
    found.follow([document(told)])
    try:
        yield found
    finally:
        found.end()


def document(told: str) -> Part:
    return parse_part("a", Document(f"services: {{cart: {{dns: [{told}]}}}}".encode(), "yaml"))


def endpoints(found: Names) -> list[tuple[str, int, int]]:
    return [
        (lease.endpoint.address, lease.endpoint.priority, lease.endpoint.weight)
        for lease in found.content().leases
    ]


def test_addresses_at_a_port() -> None:
    async def scene() -> None:
        async with serving() as server:
            server.records = {
                ("cart.test", "A"): ["10.0.0.2", "10.0.0.1"],
                ("cart.test", "AAAA"): ["2001:db8::1"],
            }
            async with following(server, "{name: cart.test, port: 80}") as found:
                assert not found.known
                await until(lambda: found.known, "an answer")
                wanted = ["10.0.0.1:80", "10.0.0.2:80", "[2001:db8::1]:80"]
                assert [address for address, _, _ in endpoints(found)] == wanted
                server.records = {("cart.test", "A"): ["10.0.0.3"]}
                await until(
                    lambda: endpoints(found) == [("10.0.0.3:80", 0, 1)], "the next answer, after the TTL"
                )

    asyncio.run(scene())


def test_services_with_their_ports_priorities_and_weights() -> None:
    async def scene() -> None:
        async with serving() as server:
            server.records = {
                ("_http._tcp.cart.test", "SRV"): ["20 0 81 b.test.", "10 60 80 a.test."],
                ("a.test", "A"): ["10.0.0.1"],
                ("b.test", "A"): ["10.0.0.2"],
            }
            async with following(server, "{name: _http._tcp.cart.test}") as found:
                await until(lambda: found.known, "an answer")
                assert endpoints(found) == [("10.0.0.1:80", 0, 60), ("10.0.0.2:81", 1, 1)]

    asyncio.run(scene())


def test_what_there_was_stays_while_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "AGAIN", 0.1)
    monkeypatch.setattr(names, "SHORTEST", 0.05)

    async def scene() -> None:
        async with serving() as server:
            server.ttl = 0
            server.records = {("cart.test", "A"): ["10.0.0.1"]}
            async with following(server, "{name: cart.test, port: 80}") as found:
                await until(lambda: endpoints(found), "an answer")
                server.rcode = dns.rcode.SERVFAIL
                await until(lambda: found.trouble, "the trouble")
                assert endpoints(found) == [("10.0.0.1:80", 0, 1)]
                server.rcode = dns.rcode.NOERROR
                await until(lambda: not found.trouble, "the end of it")
                server.records = {}
                await until(lambda: not endpoints(found), "that there are none is an answer")

    asyncio.run(scene())


def test_a_mesh_waits_for_names_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "HELD_BACK", 0.2)
    monkeypatch.setattr(names, "PATIENCE", 0.3)
    monkeypatch.setattr(names, "AGAIN", 0.1)

    async def scene() -> None:
        async with serving() as server:
            server.silent = True
            async with following(server, "{name: cart.test, port: 80}") as found:
                changes: list[bool] = []
                found.on_change = lambda: changes.append(found.known)
                assert not found.known
                await until(lambda: True in changes, "it is held back no longer")

    asyncio.run(scene())


def test_a_sidecar_gets_what_dns_tells(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving() as server:
            server.records = {("cart.test", "A"): ["10.7.7.7"]}
            more = f", dns_servers: ['{server.address}']"
            cart = "{identity: /ns/shop/sa/cart, calls: [], dns: [{name: cart.test, port: 80}]}"
            text = f"services: {{cart: {cart}}}"
            (tmp_path / "mesh.d").mkdir()
            (tmp_path / "mesh.d" / "cart.yaml").write_text(text)
            async with stage(tmp_path, more=more) as found:
                web = found.sidecar("web")
                await until(lambda: b"10.7.7.7:80" in web.endpoints("cart"), "the address")
                assert len(web.installed) == 1
                server.records = {("cart.test", "A"): ["10.7.7.8"]}
                await until(lambda: b"10.7.7.8:80" in web.endpoints("cart"), "the next one")

    asyncio.run(scene())
