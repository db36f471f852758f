"""YAML from events: the data, the positions, and what is refused."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tulle.controlplane.problems import Positions, TextError
from tulle.controlplane.yaml_text import parse_yaml, resolve_scalar

KEYS = st.text("abcdefghij-_ :é", min_size=1, max_size=6).filter(lambda key: key != "<<")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    # PyYAML writes for YAML 1.1, which knows fewer numbers
    st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12).filter(
        lambda text: resolve_scalar(text) == text
    ),
    st.sampled_from(["yes", "on", "off", "null", "~", "1", "0x1", "true", "", " a ", "- a", "a: b", "#"]),
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(DATA)
def test_reads_what_yaml_writes(data: Any) -> None:
    assert parse_yaml(yaml.safe_dump(data, allow_unicode=True).encode()) == data


@given(DATA)
def test_reads_json(data: Any) -> None:
    assert parse_yaml(json.dumps(data, ensure_ascii=False).encode()) == data


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("on: [yes, no, off]", {"on": ["yes", "no", "off"]}),
        ("a: 0x1F\nb: 0o17\nc: 017\nd: -3\ne: +4", {"a": 31, "b": 15, "c": 17, "d": -3, "e": 4}),
        ("a: 1e3\nb: .5\nc: -.inf\nd: 1.", {"a": 1000.0, "b": 0.5, "c": float("-inf"), "d": 1.0}),
        ("a: 12:30:45\nb: 2025-01-01\nc: 1_000", {"a": "12:30:45", "b": "2025-01-01", "c": "1_000"}),
        ("a: null\nb: ~\nc:\nd: Null", {"a": None, "b": None, "c": None, "d": None}),
        ("a: True\nb: FALSE", {"a": True, "b": False}),
        ("a: !!str 1\nb: !!int '2'", {"a": "1", "b": 2}),
        ("a: |\n  x\n  y\nb: >\n  x\n  y\n", {"a": "x\ny\n", "b": "x y\n"}),
        ("base: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}", {"base": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}),
        ("a: &a {x: 1}\nb: {<<: [*a, {x: 2, y: 2}]}", {"a": {"x": 1}, "b": {"x": 1, "y": 2}}),
        ("", None),
        ("# nothing", None),
    ],
)
def test_the_core_schema(text: str, data: Any) -> None:
    assert parse_yaml(text.encode()) == data


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' is here a second time", 3),
        ("a: [1\nb: 2", "flow sequence", 2),
        ("a: 1\n--- \nb: 2", "second document", 2),
        ("a: *x", r"anchor \*x", 1),
        ("a: &a [*a]", r"anchor \*a", 1),
        ("a: !!python/object:os.system x", "tag", 1),
        ("a: !thing {}", "tag", 1),
        ("? [a]\n: b", "a key must be text", 1),
        ("a: {<<: 1}", "<< needs a mapping", 1),
        ("[" * 200, "nest|levels", 1),
        ("a: \x01", "control|special", 1),
    ],
)
def test_what_is_refused(text: str, message: str, line: int) -> None:
    with pytest.raises(TextError, match=message) as caught:
        parse_yaml(text.encode())
    assert caught.value.position[0] in (line, 0)


def test_aliases_cannot_blow_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(TextError, match="aliases expand"):
        parse_yaml("\n".join(lines).encode())


def test_positions() -> None:
    positions: Positions = {}
    parse_yaml(b"a:\n  - b: 1\n    c: {d: 2}\n  - [x,\n     y]\n", positions)
    assert positions == {
        ("a",): (1, 1),
        ("a", 0): (2, 5),
        ("a", 0, "b"): (2, 5),
        ("a", 0, "c"): (3, 5),
        ("a", 0, "c", "d"): (3, 9),
        ("a", 1): (4, 5),
        ("a", 1, 0): (4, 6),
        ("a", 1, 1): (5, 6),
    }
