"""What of a compile is made of certificate files, and what of it is made anew when they change."""

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.identity.making import DAY, make, write
from tulle.controlplane.check import run_check
from tulle.controlplane.compile import compile_config
from tulle.controlplane.compile_tls import Renewed, renew, secure
from tulle.controlplane.table import RoutingTable, decode_table
from tulle.controlplane.tls_former import former_contents


class Site:
    """Two listeners that share a pair, one with another besides, and a cluster with a pair of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = make("root", ca=True, begins=time.time() - 60, ends=time.time() + 90 * DAY)
        self.ca = write(folder / "ca.pem", self.root)
        for name in ("web", "shop", "cart"):
            self.issue(name)
        own = self.files("web")
        further = {**self.files("shop"), "hostnames": ["*.shop.example"]}
        cluster = {"ca": self.ca, **self.files("cart"), "verify": {"uri": ["spiffe://example.org/stock"]}}
        config: dict[str, Any] = {
            "listeners": [
                {"name": "a", "address": "127.0.0.1:1", "backends": [{"cluster": "c"}], "tls": own},
                {
                    "name": "b",
                    "address": "127.0.0.1:2",
                    "backends": [{"cluster": "c"}],
                    "tls": {**own, "client_ca": self.ca, "certificates": [further]},
                },
            ],
            "clusters": {"c": {"endpoints": [{"address": "127.0.0.1:3"}], "tls": cluster}},
        }
        self.file = folder / "tulle.json"
        self.file.write_text(json.dumps(config))
        result, *descriptors, tls = compile_config(self.file, None, 1)
        assert result.ok, result.errors
        self.material = os.pread(tls, 1 << 20, 0)
        for descriptor in (*descriptors, tls):
            os.close(descriptor)
        self.result = result

    def files(self, name: str) -> dict[str, str]:
        return {
            "certificate": str(self.folder / f"{name}.pem"),
            "key": str(self.folder / f"{name}.key"),
        }

    def issue(self, name: str, ends: float = 60 * DAY) -> None:
        now = time.time()
        made = make(name, self.root, names=(f"DNS:{name}.example",), begins=now - DAY, ends=now + ends)
        write(self.folder / f"{name}.pem", made)
        write(self.folder / f"{name}.key", made.key_pem)

    @property
    def table(self) -> RoutingTable:
        return decode_table(self.result.table)

    def renew(self, material: bytes | None = None) -> Renewed:
        return renew(self.result.table, self.result.names, material or self.material, 0)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_each_file_is_told_once_with_all_who_use_it(site: Site) -> None:
    assert site.result.settings is not None
    uses = {Path(use.file).name: use for use in site.result.settings.certificates}
    assert {name: (use.role, use.listeners, use.clusters) for name, use in uses.items()} == {
        "web.pem": ("certificate", ("a", "b"), ()),
        "shop.pem": ("certificate", ("b",), ()),
        "cart.pem": ("certificate", (), ("c",)),
        "ca.pem": ("ca", ("b",), ("c",)),
    }
    assert uses["web.pem"].certificates[0].names == ("DNS:web.example",)
    names = {Path(file).name for file in site.result.settings.certificate_stamps}
    assert names == {
        "ca.pem",
        *(f"{name}.{kind}" for name in ("web", "shop", "cart") for kind in ("pem", "key")),
    }


def test_what_is_in_use_is_found_in_the_material(site: Site) -> None:
    found = former_contents(site.table, site.material)
    assert {(Path(file).name, Path(key).name) for file, key in found} == {
        ("ca.pem", ""),
        ("web.pem", "web.key"),
        ("shop.pem", "shop.key"),
        ("cart.pem", "cart.key"),
    }
    for (file, key), (certificates, private) in found.items():
        assert certificates == Path(file).read_bytes()
        assert private == (Path(key).read_bytes() if key else b"")


def test_nothing_has_changed_when_nothing_has_changed(site: Site) -> None:
    renewed = site.renew()
    assert not renewed.changed
    assert renewed.secured.material == site.material
    assert (renewed.lines, renewed.faults) == ((), ())
    assert renewed.serial == site.result.serial + 1


def test_a_new_pair_makes_new_material(site: Site) -> None:
    site.issue("shop")
    renewed = site.renew()
    assert renewed.changed
    assert renewed.lines == (f"{site.folder}/shop.pem: renewed, shop.example",)
    again = secure(site.table)
    assert renewed.secured.material == again.material


def test_a_bad_pair_keeps_its_place_and_is_taken_when_it_is_good(site: Site) -> None:
    site.issue("web")
    write(site.folder / "shop.key", b"half")
    renewed = site.renew()
    assert renewed.changed
    assert [fault.code for fault in renewed.faults] == ["malformed"]
    kept = former_contents(site.table, renewed.secured.material)
    before = former_contents(site.table, site.material)
    shop = (f"{site.folder}/shop.pem", f"{site.folder}/shop.key")
    assert kept[shop] == before[shop]
    site.issue("shop")
    good = site.renew(renewed.secured.material)
    assert good.faults == ()
    assert good.lines == (f"{site.folder}/shop.pem: renewed, shop.example",)


def test_a_table_without_tls_reads_nothing(tmp_path: Path) -> None:
    table = decode_table(Site(tmp_path).result.table)
    plain = secure(
        RoutingTable(**{field: getattr(table, field) for field in table.__struct_fields__} | {"tls": ()})
    )
    assert (plain.material, plain.uses, dict(plain.stamps)) == (b"", (), {})


def test_check_tells_until_when_certificates_are_valid(site: Site) -> None:
    site.issue("shop", ends=3 * 3600)
    out = io.StringIO()
    assert run_check(site.file, out) == 0
    said = out.getvalue()
    assert f"{site.folder}/web.pem: web.example, until 20" in said
    assert "59 days left; for listener a, listener b\n" in said
    assert f"{site.folder}/ca.pem: CAs, the last of them CN=root, until 20" in said
    assert "shop.example expires in 2 hours" in said
    assert "(warning expires-soon)" in said
    site.issue("shop", ends=-60)
    out = io.StringIO()
    assert run_check(site.file, out) == 1
    assert "listeners[1].tls.certificates[0].certificate" in out.getvalue()
    assert "has expired" in out.getvalue()
