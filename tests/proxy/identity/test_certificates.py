"""Certificates that change under a running pair of sidecars: taken by themselves, refused loudly, shown."""

import itertools
import json
import os
import shutil
import ssl
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.crowd import Server, check_all_answered, crowd, lasting_crowd
from tests._fast.flow.mesh import Mesh, get
from tests._fast.flow.papers import CLIENT_ID, SERVER_ID, Papers
from tests._fast.flow.sidecar import Sidecar, until
from tulle.controlplane.identity import disk, keys, spiffe
from tulle.controlplane.identity.files import read_certificates
from tulle.controlplane.identity.request import Identity, Request
from tulle.controlplane.identity.store import create_store

SOAK_SECONDS = float(os.environ.get("TULLE_SOAK_SECONDS", "3"))


class ShownMesh(Mesh):
    """One of whose B it is told what it shows and says."""

    def __init__(self, folder: Path, backend: str) -> None:
        super().__init__(folder, backend, workers=2, admin={"address": "127.0.0.2:0"})

    def shown(self) -> str:
        """The serial of the certificate that B shows to a new connection."""
        context = ssl.create_default_context(cafile=self.papers.ca)
        context.check_hostname = False
        context.load_cert_chain(self.folder / "cart.crt", self.folder / "cart.key")
        with (
            self.b.connect() as plain,
            context.wrap_socket(plain) as connection,
        ):
            found: Any = connection.getpeercert()
            return str(found["serialNumber"]).lower().lstrip("0")

    def on_disk(self) -> str:
        facts, _ = read_certificates(str(self.folder / "stock.crt"))
        return facts[0].serial.lstrip("0")

    def page(self, path: str) -> str:
        with urllib.request.urlopen(
            f"http://127.0.0.2:{self.b.ports['127.0.0.2']}{path}", timeout=30
        ) as answer:
            return str(answer.read().decode())

    def metric(self, start: str) -> list[float]:
        lines = self.page("/metrics").splitlines()
        return [float(line.rpartition(" ")[2]) for line in lines if line.startswith(start)]


@pytest.fixture
def backend() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def mesh(tmp_path: Path, backend: Server) -> Iterator[ShownMesh]:
    made = ShownMesh(tmp_path, backend.address)
    yield made
    made.close()


def test_a_new_certificate_is_shown_without_a_signal(mesh: ShownMesh) -> None:
    first = mesh.shown()
    assert first == mesh.on_disk()
    with crowd(mesh.a.connect, 1, lambda index: iter([get("/before")])) as clients:
        pass
    mesh.issue()
    until(lambda: mesh.shown() == mesh.on_disk() != first, "the new certificate is shown")
    until(lambda: mesh.metric('tulle_certificate_reloads_total{outcome="success"}') == [1], "it is counted")
    assert f"{mesh.folder}/stock.crt: renewed, {SERVER_ID}" in mesh.b.words()
    with crowd(mesh.a.connect, 1, lambda index: iter([get("/after")])) as clients:
        pass
    assert [answer.status for answer in clients[0].answers] == [200]
    assert mesh.metric("tulle_config_version") == [1]


def test_a_swapped_link_is_taken(tmp_path: Path, backend: Server) -> None:
    """As Kubernetes mounts secrets."""
    mesh = ShownMesh(tmp_path, backend.address)
    try:
        for number in ("1", "2"):
            if number == "2":
                mesh.issue()
            (tmp_path / f"..{number}").mkdir()
            for name in ("stock.crt", "stock.key"):
                shutil.copy(tmp_path / name, tmp_path / f"..{number}" / name)
        (tmp_path / "..data").symlink_to("..1")
        for name in ("stock.crt", "stock.key"):
            (tmp_path / f".{name}").symlink_to(f"..data/{name}")
            (tmp_path / f".{name}").replace(tmp_path / name)
        until(lambda: mesh.shown() == mesh.on_disk(), "the links are followed")
        first = mesh.shown()
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").replace(tmp_path / "..data")
        until(lambda: mesh.shown() == mesh.on_disk() != first, "the other directory is used")
    finally:
        mesh.close()


def test_a_pair_that_does_not_fit_is_refused_loudly_and_others_are_taken(mesh: ShownMesh) -> None:
    first = mesh.shown()
    key = mesh.folder / "stock.key"
    good = key.read_bytes()
    key.write_bytes((mesh.folder / "cart.key").read_bytes())
    mesh.b.wait_for_line("the former ones serve on")
    assert f"{key}: the key is not that of {SERVER_ID}, in {mesh.folder}/stock.crt" in mesh.b.words()
    assert mesh.metric('tulle_certificate_reloads_total{outcome="refused"}') == [1]
    assert mesh.shown() == first
    # a bundle that changes meanwhile is taken all the same
    other = Papers(mesh.folder, "other")
    with Path(mesh.papers.ca).open("ab") as bundle:
        bundle.write(Path(other.ca).read_bytes())
    mesh.b.wait_for_line(f"{mesh.papers.ca}: renewed")
    assert mesh.shown() == first
    key.write_bytes(good)
    mesh.issue()
    until(lambda: mesh.shown() == mesh.on_disk() != first, "the next good pair is taken")


def test_certificates_are_shown_and_keys_are_nowhere(mesh: ShownMesh) -> None:
    shown = json.loads(mesh.page("/certs?format=json"))["certificates"]
    by_role = {use["role"]: use for use in shown}
    own = by_role["certificate"]
    assert own["file"] == str(mesh.folder / "stock.crt")
    assert (own["listeners"], own["clusters"]) == (["mesh"], [])
    (leaf,) = own["certificates"]
    assert leaf["names"] == [f"URI:{SERVER_ID}"]
    assert leaf["serial"] == mesh.on_disk()
    assert 0 < leaf["days_left"] <= 1
    assert by_role["ca"]["file"] == mesh.papers.ca
    assert SERVER_ID in mesh.page("/certs")
    (end,) = mesh.metric('tulle_certificate_expiration_timestamp_seconds{cluster="",listener="mesh",'
                         f'name="{SERVER_ID}",role="certificate"}}')  # fmt: skip
    assert 0 < end - time.time() <= 86400
    secret = (mesh.folder / "stock.key").read_text().splitlines()[1]
    pages = [mesh.page(path) for path in ("/certs", "/config_dump", "/stats", "/metrics", "/server_info")]
    assert all(secret not in text and "PRIVATE" not in text for text in [*pages, mesh.b.words()])


def sent(index: int) -> bytes:
    return get(f"/{index}")


def test_rotation_under_load_fails_no_request(mesh: ShownMesh) -> None:
    """Every second, both sides, on kept and on fresh connections. By hand: TULLE_SOAK_SECONDS=60."""
    serials = {mesh.shown()}
    with (
        lasting_crowd(mesh.a.connect, 4, sent) as kept,
        lasting_crowd(mesh.a.connect, 2, sent, fresh=True) as fresh,
    ):
        end = time.monotonic() + SOAK_SECONDS
        while time.monotonic() < end or len(serials) < 3:
            mesh.issue()
            until(lambda: mesh.shown() == mesh.on_disk(), "the new certificate is shown")
            serials.add(mesh.shown())
    check_all_answered([*kept, *fresh])
    assert len(serials) >= 3
    for sidecar in (mesh.a, mesh.b):
        assert "refused" not in sidecar.words()


def test_a_root_gives_way_to_another_under_load(mesh: ShownMesh, tmp_path: Path) -> None:
    """From the papers of the mesh to an authority of `tulle ca`, and there from one root to the next."""
    ca = create_store(tmp_path / "authority", "example.org", time.time())
    former, bundle, times = Path(mesh.papers.ca).read_bytes(), Path(mesh.papers.ca), itertools.count(1)

    def trust(roots: bytes) -> None:
        disk.write(bundle, roots, disk.FOR_ALL)
        count = next(times)
        for sidecar in (mesh.a, mesh.b):
            sidecar.wait_for_line(f"{bundle}: renewed", count)

    def issue() -> None:
        for name, identity in (("stock", SERVER_ID), ("cart", CLIENT_ID)):
            key = keys.generate()
            issued = ca.issue(Request(key.public_key()), Identity(spiffe.parse(identity)), time.time())
            disk.write(mesh.folder / f"{name}.key", keys.to_pem(key))
            disk.write(mesh.folder / f"{name}.crt", issued.pem, disk.FOR_ALL)
        until(lambda: mesh.shown() == mesh.on_disk(), "the new certificate is shown")

    with (
        lasting_crowd(mesh.a.connect, 1, sent) as kept,
        lasting_crowd(mesh.a.connect, 1, sent, fresh=True) as fresh,
    ):
        trust(former + ca.bundle())
        issue()
        trust(ca.bundle())
        ca.change_root("add", time.time())
        trust(ca.bundle())
        ca.change_root("use", time.time())
        issue()
        ca.change_root("drop", time.time(), force=True)
        trust(ca.bundle())
        issue()
    check_all_answered([*kept, *fresh])


def test_without_tls_nothing_of_it_is_in_memory(tmp_path: Path, backend: Server) -> None:
    config = {
        "workers": 1,
        "listeners": [{"name": "l", "address": "127.0.0.1:0", "backends": [{"cluster": "c"}]}],
        "clusters": {"c": {"endpoints": [{"address": backend.address}]}},
    }
    sidecar = Sidecar(config, tmp_path)
    try:
        maps = Path(f"/proc/{sidecar.pid}/maps").read_text()
        maps += "".join(Path(f"/proc/{worker}/maps").read_text() for worker in sidecar.workers())
        assert "cryptography" not in maps
    finally:
        sidecar.stop()


def test_the_master_of_tls_does_not_hold_the_library(mesh: ShownMesh) -> None:
    """It is in the children that read the files, and in workers."""
    assert "certificates" in mesh.page("/certs")
    assert "cryptography" not in Path(f"/proc/{mesh.b.pid}/maps").read_text()
