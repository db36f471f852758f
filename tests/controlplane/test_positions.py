"""Where things are in JSON and TOML."""

import json
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tulle.controlplane.json_text import locate_json
from tulle.controlplane.problems import Path
from tulle.controlplane.toml_text import locate_toml

KEYS = st.text('ab"\\[]{},:é \n', max_size=4)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


def paths_of(data: Any, path: Path = ()) -> dict[Path, Any]:
    """What is at each path below this one."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    found: dict[Path, Any] = {}
    for key, value in items:
        found[(*path, key)] = value
        found |= paths_of(value, (*path, key))
    return found


@given(DATA, st.sampled_from([None, 1, 3]), st.booleans())
def test_json_positions_point_at_keys_and_items(data: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=ascii_only)
    positions, repeated = locate_json(text)
    found = paths_of(data)
    assert positions.keys() == found.keys()
    assert repeated == []
    lines = text.split("\n")
    for path, (line, column) in positions.items():
        what = path[-1] if isinstance(path[-1], str) else found[path]
        begins = json.dumps(what, ensure_ascii=ascii_only, indent=indent).split("\n")[0]
        assert lines[line - 1][column - 1 :].startswith(begins)


def test_json_keys_that_are_there_twice() -> None:
    assert locate_json('{"a": {"b": 1, "c": 2, "b": 3}, "a": 1}')[1] == [("a", "b"), ("a",)]


TOML = '''
# a comment = [
workers = 2 # another
access_log = {path = "/dev/stdout", format = "json"}
stats.histogram_buckets = [
  "1ms", # "x"
  "1s",
]

[admin]
address = """
127.0.0.1:1"""

[[listeners]]
name = 'we"b'
[listeners.path]
slashes = "keep"

[[listeners]]
name = "b]"

[[routes.main]]
"name" = "one"
[[routes.main.matches]]
path.prefix = "/a"
[[routes.main.matches]]
path = { prefix = "/b" }
headers."x-a".exact = "1"

[[routes.main]]
matches = [{path = {exact = "/c"}}, {method = "GET"}]

[clusters."a.b"]
endpoints = [{address = "127.0.0.1:9"}]
'''


def test_toml_positions() -> None:
    positions = locate_toml(TOML)
    found = paths_of(tomllib.loads(TOML))
    assert positions.keys() == found.keys()
    lines = TOML.split("\n")
    for path in positions:
        line = lines[positions[path][0] - 1]
        key = next(part for part in reversed(path) if isinstance(part, str))
        if isinstance(path[-1], str):
            assert key in line, path
    assert lines[positions["stats", "histogram_buckets", 1][0] - 1] == '  "1s",'
    assert (
        lines[positions["routes", "main", 0, "matches", 1, "path", "prefix"][0] - 1]
        == 'path = { prefix = "/b" }'
    )
    assert lines[positions["routes", "main", 1][0] - 1] == "[[routes.main]]"
    assert positions["routes", "main", 1][0] > positions["routes", "main", 0, "matches", 1][0]
