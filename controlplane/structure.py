"""Every way in which plain data is not of the model's types, where the model's decoder stops at the first.

Runs only when that decoder has refused. What is wrong is also replaced by something of the right type, so
that the rest can be checked for its meaning in the same go.
"""

from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from tulle.controlplane.findings import Finding, Report, did_you_mean
from tulle.controlplane.model import Config
from tulle.controlplane.problems import Path

_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "true or false"), (int, "a number"), (float, "a number"), (str, "text"), (list, "a list"),
    (dict, "a mapping"), (type(None), "nothing"),
)  # fmt: skip
# one of them for every pattern of the models
_PLACEHOLDERS = ("placeholder", "1s", "1MiB", "/", "/ns/x/sa/y", "http://placeholder")


class Repaired(NamedTuple):
    """A config or another model of the right types, the errors, and the paths where something was put in."""

    config: Any
    findings: list[Finding]
    replaced: list[Path]


def check_structure(data: Any, model: type[msgspec.Struct] = Config) -> Repaired:
    """Check plain data against the types of a model."""
    checker = _Checker()
    repaired = checker.check(data if data is not None else {}, inspect.type_info(model), ())
    return Repaired(msgspec.convert(repaired, model), checker.report.findings, checker.replaced)


def _called(value: Any) -> str:
    text = next((name for kind, name in _NAMES if isinstance(value, kind)), "a date or time")
    return f"{text} ({value!r})" if isinstance(value, (int, float, str)) and len(str(value)) <= 40 else text


class _Checker:
    def __init__(self) -> None:
        self.report = Report()
        self.replaced: list[Path] = []

    def wrong(self, kind: inspect.Type, path: Path, message: str, hint: str = "") -> Any:
        """Note an error and answer what to put in place."""
        self.report.error("structure", path, message, hint)
        self.replaced.append(path)
        return placeholder(kind)

    def check(self, value: Any, kind: inspect.Type, path: Path) -> Any:
        """The value, repaired where it is wrong."""
        match kind:
            case inspect.Metadata():
                return self.described(value, kind, path)
            case inspect.StructType():
                return self.struct(value, kind, path)
            case inspect.ListType() | inspect.VarTupleType():
                return self.sequence(value, kind, path)
            case inspect.DictType():
                return self.mapping(value, kind, path)
            case inspect.UnionType():
                return self.union(value, kind, path)
            case inspect.LiteralType():
                return self.literal(value, kind, path)
            case inspect.StrType():
                return self.text(value, kind, path, "")
            case inspect.IntType():
                return self.integer(value, kind, path)
            case inspect.FloatType():
                return self.number(value, kind, path)
            case inspect.BoolType():
                if isinstance(value, bool):
                    return value
                return self.wrong(kind, path, f"must be true or false, not {_called(value)}")
        raise TypeError(f"the model has a type that is not foreseen here: {kind}")

    def described(self, value: Any, kind: inspect.Metadata, path: Path) -> Any:
        extra = kind.extra_json_schema or {}
        examples = ", ".join(str(example) for example in extra.get("examples", ()))
        hint = " ".join(
            part
            for part in (extra.get("description", ""), f"For example {examples}." if examples else "")
            if part
        )
        if isinstance(kind.type, inspect.StrType):
            return self.text(value, kind.type, path, hint)
        return self.check(value, kind.type, path)

    def struct(self, value: Any, kind: inspect.StructType, path: Path) -> Any:
        if not isinstance(value, dict):
            keys = ", ".join(field.encode_name for field in kind.fields[:6])
            return self.wrong(kind, path, f"must be a mapping, not {_called(value)}", f"Its keys are {keys}.")
        known = {field.encode_name: field for field in kind.fields}
        repaired = {}
        for key, item in value.items():
            if key not in known:
                self.report.error(
                    "unknown-key", (*path, key), f"unknown key {key!r}", did_you_mean(key, known)
                )
            else:
                repaired[key] = self.check(item, known[key].type, (*path, key))
        for name, field in known.items():
            if field.required and name not in repaired:
                self.report.error("missing-key", path, f"{name!r} is missing")
                self.replaced.append((*path, name))
                repaired[name] = placeholder(field.type)
        return repaired

    def sequence(self, value: Any, kind: inspect.ListType | inspect.VarTupleType, path: Path) -> Any:
        if not isinstance(value, list):
            hint = "Put it into [ ]." if isinstance(value, (str, dict)) else ""
            return self.wrong(kind, path, f"must be a list, not {_called(value)}", hint)
        if kind.min_length and len(value) < kind.min_length:
            return self.wrong(kind, path, f"must have at least {kind.min_length} items")
        if kind.max_length is not None and len(value) > kind.max_length:
            return self.wrong(kind, path, f"must have at most {kind.max_length} items")
        return [self.check(item, kind.item_type, (*path, index)) for index, item in enumerate(value)]

    def mapping(self, value: Any, kind: inspect.DictType, path: Path) -> Any:
        if not isinstance(value, dict):
            return self.wrong(kind, path, f"must be a mapping, not {_called(value)}")
        repaired = {}
        for key, item in value.items():
            before = len(self.report.findings)
            self.check(key, kind.key_type, (*path, key))
            if len(self.report.findings) == before:
                repaired[key] = self.check(item, kind.value_type, (*path, key))
        return repaired

    def union(self, value: Any, kind: inspect.UnionType, path: Path) -> Any:
        """The member whose JSON type the value has, so that the complaint is about the right one."""
        members = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
        if value is None and len(members) < len(kind.types):
            return None
        for member in members:
            if _json_type(member) is type(value):
                return self.check(value, member, path)
        texts = [member for member in members if _json_type(member) is str]
        return self.check(value, (texts or members)[0], path)

    def literal(self, value: Any, kind: inspect.LiteralType, path: Path) -> Any:
        if any(value == choice and type(value) is type(choice) for choice in kind.values):
            return value
        choices = [str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in kind.values]
        if len(choices) == 1:
            return self.wrong(kind, path, f"must be {choices[0]}, not {_called(value)}")
        hint = did_you_mean(str(value), choices, " ")
        return self.wrong(
            kind, path, f"must be one of {', '.join(choices)}, not {_called(value)}", hint.strip()
        )

    def text(self, value: Any, kind: inspect.StrType, path: Path, hint: str) -> Any:
        if not isinstance(value, str):
            return self.wrong(kind, path, f"must be text, not {_called(value)}", hint or _quote_hint(value))
        if kind.min_length and len(value) < kind.min_length:
            return self.wrong(kind, path, f"{value!r} is too short", hint)
        if kind.max_length is not None and len(value) > kind.max_length:
            return self.wrong(kind, path, f"has {len(value)} characters, more than {kind.max_length}", hint)
        if kind.pattern is not None and msgspec_refuses(value, kind):
            return self.wrong(kind, path, f"{value!r} is not of the right form", hint)
        return value

    def integer(self, value: Any, kind: inspect.IntType, path: Path) -> Any:
        low, high = kind.ge, kind.le
        wanted = (
            f"a whole number from {low} to {high:,}"
            if low is not None and high is not None
            else "a whole number"
        )
        if not isinstance(value, int) or isinstance(value, bool):
            return self.wrong(kind, path, f"must be {wanted}, not {_called(value)}")
        if (low is not None and value < low) or (high is not None and value > high):
            return self.wrong(kind, path, f"{value} is out of range: it must be {wanted}")
        return value

    def number(self, value: Any, kind: inspect.FloatType, path: Path) -> Any:
        low, high = kind.ge, kind.le
        wanted = f"a number from {low:g} to {high:g}" if low is not None and high is not None else "a number"
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return self.wrong(kind, path, f"must be {wanted}, not {_called(value)}")
        if not (low is None or value >= low) or not (high is None or value <= high):
            return self.wrong(kind, path, f"{value} is out of range: it must be {wanted}")
        return value


def msgspec_refuses(value: str, kind: inspect.StrType) -> bool:
    """Whether the pattern of a type does not match; the same search that the decoder does."""
    import re

    return kind.pattern is not None and re.search(kind.pattern, value) is None


def _quote_hint(value: Any) -> str:
    return f'Put it into quotes: "{value}".' if isinstance(value, (int, float)) else ""


def _json_type(kind: inspect.Type) -> type | None:
    match kind:
        case inspect.Metadata(inner):
            return _json_type(inner)
        case inspect.StrType():
            return str
        case inspect.IntType():
            return int
        case inspect.FloatType():
            return float
        case inspect.BoolType():
            return bool
        case inspect.StructType() | inspect.DictType():
            return dict
        case inspect.ListType() | inspect.VarTupleType():
            return list
        case inspect.LiteralType(values):
            return type(values[0])
    return None


def placeholder(kind: inspect.Type) -> Any:
    """Something that the type takes."""
    match kind:
        case inspect.Metadata(inner):
            return placeholder(inner)
        case inspect.StructType():
            return {field.encode_name: placeholder(field.type) for field in kind.fields if field.required}
        case inspect.ListType(min_length=least) | inspect.VarTupleType(min_length=least):
            return [placeholder(kind.item_type)] * (least or 0)
        case inspect.DictType():
            return {}
        case inspect.UnionType(types):
            none = any(isinstance(member, inspect.NoneType) for member in types)
            return None if none else placeholder(types[0])
        case inspect.LiteralType(values):
            return values[0]
        case inspect.IntType():
            return kind.ge or 0
        case inspect.FloatType():
            return kind.ge or 0.0
        case inspect.BoolType():
            return False
        case inspect.StrType():
            return next(text for text in _PLACEHOLDERS if not msgspec_refuses(text, kind))
    raise TypeError(f"the model has a type that is not foreseen here: {kind}")
