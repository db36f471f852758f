"""A configuration file to a valid `Config`: parse, check structure and meaning, all errors at once.

The usual case, a file without errors, decodes straight into the model. Only when something is wrong is the
file gone through again, slowly, for every error and its line.
"""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import msgspec

from tulle.controlplane.findings import Finding, Report
from tulle.controlplane.model import Config
from tulle.controlplane.problems import ConfigError, Positions, Problem, TextError
from tulle.controlplane.validate import validate

_FORMATS = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}
_BYTE = re.compile(r" \(byte ([0-9]+)\)")
_LINE = re.compile(r" \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)")


class Loaded(NamedTuple):
    """A valid configuration, and what is odd about it."""

    config: Config
    warnings: list[Problem]


class Document(NamedTuple):
    """A configuration as text: `kind` is yaml, json or toml."""

    text: bytes
    kind: str


def load_config(path: FilePath, with_lines: bool = True, zone: str | None = None) -> Loaded:
    """Read and check a file; ConfigError holds every problem, OSError does not come through.

    Errors always have their lines. To find those of warnings takes longer than all the rest: without
    `with_lines` they have their paths only. `zone` is where the proxy is, whatever the file says.
    """
    return load_document(read_document(path), with_lines, zone)


def load_document(document: Document, with_lines: bool = True, zone: str | None = None) -> Loaded:
    """Check a text that has been read; as `load_config`."""
    try:
        return _load(document, with_lines, zone)
    except TextError as error:
        line, column = error.position
        raise ConfigError([Problem("syntax", "", error.message, line=line, column=column)]) from None
    except RecursionError:
        raise ConfigError([Problem("syntax", "", "is nested too deeply")]) from None


def check_model(config: Config) -> list[Problem]:
    """The warnings about a config that no file holds; ConfigError with all its errors when it has any."""
    return _outcome(validate(config, Report()), {})


def in_zone(config: Config, zone: str | None) -> Config:
    """The same for a proxy in this zone; None: where the config says."""
    return config if zone is None else msgspec.structs.replace(config, zone=zone)


def read_document(path: FilePath) -> Document:
    """The text of a file; ConfigError when it cannot be read."""
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(
            [Problem("file", "", f"{path.name!r} has no known ending", "Use .yaml, .toml or .json.")]
        )
    try:
        return Document(path.read_bytes(), kind)
    except OSError as error:
        raise ConfigError([Problem("file", "", f"cannot be read: {error.strerror}")]) from None


def repeated_keys(document: Document) -> list[Problem]:
    """Warnings about keys that are there twice in well-formed JSON, whose decoder takes the last.

    In YAML and TOML they are errors. It takes longer than loading does, so only `tulle check` asks.
    """
    if document.kind != "json":
        return []
    from tulle.controlplane.json_text import locate_json

    positions, repeated = locate_json(document.text.decode())
    hint = "The last one counts."
    return [
        Finding("warning", "repeated-key", path, "this key is here a second time", hint).problem(positions)
        for path in repeated
    ]


def locate(document: Document) -> Positions:
    """Where each key and each item begins in a well-formed text."""
    if document.kind == "yaml":
        from tulle.controlplane.yaml_text import parse_yaml

        positions: Positions = {}
        parse_yaml(document.text, positions)
        return positions
    if document.kind == "toml":
        from tulle.controlplane.toml_text import locate_toml

        return locate_toml(document.text.decode())
    from tulle.controlplane.json_text import locate_json

    return locate_json(document.text.decode())[0]


def _load(document: Document, with_lines: bool, zone: str | None) -> Loaded:
    data: Any = None
    try:
        if document.kind == "json":
            config = msgspec.json.decode(document.text, type=Config)
        else:
            data = parse(document)
            config = msgspec.convert(data if data is not None else {}, Config)
    except msgspec.ValidationError:
        data = parse(document) if document.kind == "json" else data
    except msgspec.DecodeError as error:
        raise _json_error(document.text, error) from None
    else:
        config = in_zone(config, zone)
        findings = validate(config, Report())
        wanted = findings if with_lines else [one for one in findings if one.severity == "error"]
        return Loaded(config, _outcome(findings, locate(document) if wanted else {}))

    from tulle.controlplane.structure import check_structure

    repaired = check_structure(data)
    findings = repaired.findings + validate(repaired.config, Report(repaired.replaced))
    _outcome(findings, locate(document))
    raise AssertionError("the decoder refused what the structure check found right")


def _outcome(findings: Iterable[Finding], positions: Positions) -> list[Problem]:
    """The warnings; ConfigError with the errors, in the order of their lines, when there are any."""
    errors = [finding.problem(positions) for finding in findings if finding.severity == "error"]
    if errors:
        raise ConfigError(sorted(errors, key=lambda problem: (problem.line, problem.column)))
    return [finding.problem(positions) for finding in findings]


def parse(document: Document) -> Any:
    """A text as plain data; TextError when it is not well-formed."""
    if document.kind == "json":
        try:
            return msgspec.json.decode(document.text)
        except msgspec.DecodeError as error:
            raise _json_error(document.text, error) from None
    if document.kind == "toml":
        try:
            return tomllib.loads(document.text.decode())
        except tomllib.TOMLDecodeError as error:
            raise _toml_error(document.text, str(error)) from None
        except UnicodeDecodeError as error:
            raise TextError("is not UTF-8", _position(document.text, error.start)) from None
    from tulle.controlplane.yaml_text import parse_yaml

    return parse_yaml(document.text)


def _position(text: bytes, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count(b"\n") + 1, offset - (before.rfind(b"\n") + 1) + 1


def _json_error(text: bytes, error: Exception) -> TextError:
    match = _BYTE.search(str(error))
    offset = int(match[1]) if match else len(text)
    return TextError(_BYTE.sub("", str(error)), _position(text, offset))


def _toml_error(text: bytes, message: str) -> TextError:
    match = _LINE.search(message)
    position = (int(match[1]), int(match[2])) if match and match[1] else _position(text, len(text))
    return TextError(_LINE.sub("", message), position)
