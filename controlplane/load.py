"""A configuration file to a valid `Config`: parse, check structure and meaning, all errors at once.

The usual case, a file without errors, decodes straight into the model. Only when something is wrong is the
file gone through again, slowly, for every error and its line.
"""

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tulle.controlplane.model import Config
from tulle.controlplane.problems import ConfigError, Problem, TextError
from tulle.controlplane.validate import check_model

FORMATS = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}


class Loaded(NamedTuple):
    """A valid configuration, and what is odd about it."""

    config: Config
    warnings: list[Problem]


def load_config(path: Path) -> Loaded:
    """Read and check a file; ConfigError holds every problem, OSError does not come through."""
    text, kind = _read(path)
    try:
        config = (
            msgspec.json.decode(text, type=Config)
            if kind == "json"
            else msgspec.convert(_parse(text, kind), Config)
        )
    except TextError as error:
        line, column = error.position
        raise ConfigError([Problem("syntax", "", error.message, line=line, column=column)]) from None
    except msgspec.DecodeError as error:
        raise ConfigError([Problem("structure", "", str(error))]) from None
    return Loaded(config, check_model(config))


def _read(path: Path) -> tuple[bytes, str]:
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(
            [Problem("file", "", f"{path.name} has no known ending", "Use .yaml, .toml or .json.")]
        )
    try:
        return path.read_bytes(), kind
    except OSError as error:
        raise ConfigError([Problem("file", "", f"cannot be read: {error.strerror}")]) from None


def _parse(text: bytes, kind: str) -> Any:
    if kind == "toml":
        try:
            return tomllib.loads(text.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TextError(str(error), (0, 0)) from None
    from tulle.controlplane.yaml_text import parse_yaml

    return parse_yaml(text)
