"""YAML to plain data, from the parser's events: a tenth of the time that PyYAML's own construction takes.

Scalars are those of YAML 1.2's core schema, so that `on`, `off`, `yes` and `no` are text, as in JSON. Keys
are text and may not repeat. Aliases and `<<` work, and what they may expand to is bounded.
"""

import re
from collections.abc import Callable
from typing import Any

import yaml

from tulle.controlplane.problems import Path, Position, Positions, TextError

MOST_NODES = 5_000_000  # after expansion of aliases
DEEPEST = 100

_SPECIAL = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_BEGINS_SPECIAL = frozenset("+-.0123456789~nNtTfF")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}


def parse_yaml(text: bytes, positions: Positions | None = None) -> Any:
    """The one document of `text`; TextError when it is not well-formed.

    With `positions`, also fills in where each key and each item begins.
    """
    try:
        return _Constructor(text, positions).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.problem, error.context) if part)
        raise TextError(problem, _position(mark) if mark else (0, 0)) from None
    except yaml.YAMLError as error:
        raise TextError(str(error).replace("\n", " "), (0, 0)) from None


def _position(mark: Any) -> Position:
    return mark.line + 1, mark.column + 1


class _Constructor:
    """Builds one document; `nodes` counts what has been built, aliases expanded."""

    def __init__(self, text: bytes, positions: Positions | None) -> None:
        parser = yaml.CSafeLoader(text)
        self.next: Callable[[], Any] = parser.get_event
        self.positions = positions
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = 0

    def document(self) -> Any:
        self.next()
        event = self.next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        data = self.node(self.next(), (), 0)
        self.next()
        event = self.next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise TextError(
                "a second document begins here; a configuration is one", _position(event.start_mark)
            )
        return data

    def node(self, event: Any, path: Path, depth: int) -> Any:
        """The data that begins with this event."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self.nodes += 1
            if event.implicit[0] and event.tag is None:
                value = event.value
                data = resolve_scalar(value) if not value or value[0] in _BEGINS_SPECIAL else value
            elif event.tag is None or event.tag == "!" or event.implicit[1]:
                data = event.value
            else:
                data = self.tagged(event)
            if event.anchor:
                self.anchors[event.anchor] = (data, 1)
            return data
        if kind is yaml.AliasEvent:
            return self.alias(event)
        if depth > DEEPEST:
            raise TextError(f"more than {DEEPEST} levels of nesting", _position(event.start_mark))
        if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise TextError(f"the tag {event.tag} is not known", _position(event.start_mark))
        before = self.nodes
        self.nodes += 1
        data = (
            self.mapping(path, depth + 1)
            if kind is yaml.MappingStartEvent
            else self.sequence(path, depth + 1)
        )
        if event.anchor:
            self.anchors[event.anchor] = (data, self.nodes - before)
        return data

    def mapping(self, path: Path, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        while True:
            event = self.next()
            if type(event) is yaml.MappingEndEvent:
                break
            if type(event) is not yaml.ScalarEvent:
                raise TextError("a key must be text", _position(event.start_mark))
            key = event.value
            if key == "<<" and event.implicit[0]:
                merged += self.merged(path, depth)
                continue
            if key in data:
                raise TextError(f"the key {key!r} is here a second time", _position(event.start_mark))
            inner = path
            if self.positions is not None:
                inner = (*path, key)
                self.positions[inner] = _position(event.start_mark)
            data[key] = self.node(self.next(), inner, depth)
        for other in merged:
            for key, value in other.items():
                data.setdefault(key, value)
        return data

    def sequence(self, path: Path, depth: int) -> list[Any]:
        data: list[Any] = []
        while True:
            event = self.next()
            if type(event) is yaml.SequenceEndEvent:
                return data
            inner = path
            if self.positions is not None:
                inner = (*path, len(data))
                self.positions[inner] = _position(event.start_mark)
            data.append(self.node(event, inner, depth))

    def merged(self, path: Path, depth: int) -> list[dict[str, Any]]:
        """What `<<` brings in: a mapping, or several of which the earlier win."""
        event = self.next()
        data = self.node(event, path, depth)
        several = data if isinstance(data, list) else [data]
        if not all(isinstance(one, dict) for one in several):
            raise TextError("<< needs a mapping", _position(event.start_mark))
        return several

    def alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            raise TextError(f"the anchor *{event.anchor} is not known here", _position(event.start_mark))
        data, nodes = self.anchors[event.anchor]
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise TextError(f"aliases expand to more than {MOST_NODES:,} nodes", _position(event.start_mark))
        return data

    def tagged(self, event: Any) -> Any:
        if event.tag not in _TAGS:
            raise TextError(f"the tag {event.tag} is not known", _position(event.start_mark))
        if event.tag.endswith(":str"):
            return event.value
        return resolve_scalar(event.value)


def resolve_scalar(value: str) -> Any:
    """What a plain scalar stands for in the core schema (YAML 1.2 section 10.3.2)."""
    if value in _SPECIAL:
        return _SPECIAL[value]
    if _INTEGER.fullmatch(value):
        return int(value, 0) if value[:2] in ("0o", "0x") else int(value)
    if _FLOAT.fullmatch(value):
        return float(value.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return value
