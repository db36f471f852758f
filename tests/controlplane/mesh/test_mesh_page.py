"""docs/control-plane.md tells every option of a mesh with its default, and its example is right."""

import re
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import fields

from tests.controlplane.mesh.meshes import mesh
from tests.controlplane.test_documentation import default_text
from tulle.controlplane.mesh import model

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "control-plane.md").read_text()
TABLES = [
    dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE))
    for table in re.findall(r"^\| key \| default \| meaning \|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
]
SECTIONS = [
    model.MeshDocument,
    model.Control,
    model.Defaults,
    model.Service,
    model.MeshPolicy,
    model.EtcdSource,
    model.DnsName,
]


@pytest.mark.parametrize("section", SECTIONS, ids=[section.__name__ for section in SECTIONS])
def test_every_option_is_told_with_its_default(section: type[msgspec.Struct]) -> None:
    wanted = {field.encode_name: default_text(field) for field in fields(section)}
    tables = [table for table in TABLES if table.keys() == wanted.keys()]
    assert tables, f"no table has the keys of {section.__name__}: {', '.join(wanted)}"
    assert {name: text for name, text in wanted.items() if tables[0][name] not in ("see there", text)} == {}


def test_the_example_is_right() -> None:
    example = re.search(r"`mesh.yaml`:\n\n((?:    .*\n)+)", PAGE)
    assert example is not None
    found = mesh(re.sub("^    ", "", example[1], flags=re.MULTILINE))
    assert list(found.services) == ["web", "cart"]
