"""docs/configuration.md tells every option with its default, and nothing that is not there."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec.structs import FieldInfo, fields

from tulle.controlplane import model
from tulle.controlplane.load import Document, load_document
from tulle.controlplane.log_format import JSON_KEYS, OPERATORS, OPERATORS_OF_HEADERS
from tulle.controlplane.model_clusters import Cluster
from tulle.controlplane.model_values import Section

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text()
# the rows of each table: option to default
TABLES = [
    dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE))
    for table in re.findall(r"^\| key \| default \| meaning \|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
]
MODULES = sorted(f"tulle.controlplane.{file.stem}" for file in (ROOT / "controlplane").glob("model*.py"))
SECTIONS: list[type[msgspec.Struct]] = [
    found
    for module in map(import_module, MODULES)
    for found in vars(module).values()
    if isinstance(found, type)
    and issubclass(found, Section)
    and found.__module__ == module.__name__
    and found is not Section
    and found.__struct_fields__
]
# what is better told than shown
TOLD = {"see there", "see below", "empty", "`prefix: /`"}


def default_text(field: FieldInfo) -> str:
    if field.required:
        return "required"
    value: Any = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(str(item) for item in value)}]`"
    return f"`{value}`"


@pytest.mark.parametrize("section", SECTIONS, ids=[section.__name__ for section in SECTIONS])
def test_every_option_is_told_with_its_default(section: type[msgspec.Struct]) -> None:
    wanted = {field.encode_name: default_text(field) for field in fields(section)}
    tables = [table for table in TABLES if table.keys() == wanted.keys()]
    assert tables, (
        f"no table of docs/configuration.md has the keys of {section.__name__}: {', '.join(wanted)}"
    )
    wrong = {
        name: (table[name], text)
        for table in tables
        for name, text in wanted.items()
        if table[name] not in TOLD and table[name] != text
    }
    assert wrong == {}, "told and true defaults differ"


def test_no_table_tells_of_what_is_not_there() -> None:
    known = [{field.encode_name for field in fields(section)} for section in SECTIONS]
    assert [table for table in TABLES if set(table) not in known] == []


def test_defaults_that_are_told_in_words() -> None:
    buckets = model.Stats().histogram_buckets
    assert f"`{' '.join(buckets)}`" in PAGE
    assert " ".join(JSON_KEYS) in PAGE.replace("\n", " ")


def test_every_operator_is_told() -> None:
    section = PAGE.partition("### Operators")[2].partition("\n## ")[0]
    told = set(re.findall(r"`([A-Z][A-Z_]+)(?:\(\w+\))?`", section))
    assert told == OPERATORS | OPERATORS_OF_HEADERS


def test_the_examples_are_right() -> None:
    """Each indented block is YAML, and put where it belongs it makes a config without errors."""
    blocks = re.findall(r"(?:^    .*\n)+", PAGE, re.MULTILINE)
    assert len(blocks) > 15
    for block in blocks:
        data = yaml.safe_load(re.sub("^    ", "", block, flags=re.MULTILINE).replace(" on:", ' "on":'))
        config = _around(data)
        errors = load_document(Document(msgspec.json.encode(config), "json"))
        assert errors.config.listeners


def _around(data: dict[str, Any]) -> dict[str, Any]:
    """A whole config with a fragment of the page in its place."""
    route: dict[str, Any] = {"matches": [{"path": {"prefix": "/old"}}]}
    cluster: dict[str, Any] = {}
    listener: dict[str, Any] = {"name": "l", "address": "127.0.0.1:1", "routes": "t"}
    config: dict[str, Any] = {"listeners": [listener], "routes": {"t": [route]}, "clusters": {"c": cluster}}
    for key, value in data.items():
        if key == "path":
            listener[key] = value
        elif key in model.Config.__struct_fields__:
            config[key] = value
        elif key in Cluster.__struct_fields__:
            cluster[key] = value
        else:
            route[key] = value
    if not route.keys() & {"backends", "redirect", "response"}:
        route["backends"] = [{"cluster": "c"}]
    for listener in config["listeners"]:
        if "routes" in listener:
            config["routes"].setdefault(listener["routes"], [])
    text = msgspec.json.encode(config).decode()
    for name in re.findall(r'"cluster":"(\w+)"', text):
        config["clusters"].setdefault(name, {})
    return config


def test_every_warning_is_told() -> None:
    section = PAGE.partition("## Warnings")[2]
    told = re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    source = "".join(file.read_text() for file in (ROOT / "controlplane").glob("*.py"))
    known = set(re.findall(r'(?:\.warning\(\s*|Finding\("warning", )"([a-z-]+)"', source))
    assert sorted(told) == told
    assert set(told) == known
