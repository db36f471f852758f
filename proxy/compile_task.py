"""The compile, as a task of its own process: the configuration in, table images and settings out."""

import os
from pathlib import Path
from typing import Any

import msgspec

from tulle._fast.base.mapping import collapse
from tulle.controlplane.compile import (
    ConfigSource,
    compile_config,
    compile_endpoints,
    release_names,
)
from tulle.controlplane.model import followed_config, simple_config
from tulle.proxy.descriptors import content, memfd


def run(arguments: dict[str, Any], descriptors: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Compile a whole configuration.

    `source` is {"file": path}, {"listen": address, "to": [addresses]} or {"control": [addresses],
    "state_dir", "token_file"}, with a "zone" when the configuration's does not count, and with the path of a
    "part" of the mesh when that is to be tried; `version` and `resolved` as in `compile_config`; `released`
    is the serial before which no worker holds anything. Descriptor: the names in use.

    The answer has `ok`, `errors` and `warnings` as lines, and when it is ok `version`, `serial` and
    `settings`, with the
    descriptors routes segment, endpoints segment, names, table and, when it has TLS, what contexts are made
    of.
    """
    source = _source(arguments["source"])
    part = arguments["source"].get("part")
    previous = _names(descriptors[0], arguments["released"]) if descriptors else None
    result, routes, endpoints, tls = compile_config(
        source,
        previous,
        arguments["version"],
        arguments["resolved"],
        arguments["source"].get("zone"),
        Path(part) if part else None,
    )
    shown = str(arguments["source"].get("file", "command line"))
    answer: dict[str, Any] = {
        "ok": result.ok,
        "errors": [problem.text(shown) for problem in result.errors],
        "warnings": [problem.text(shown) for problem in result.warnings],
    }
    if not result.ok:
        return answer, []
    answer |= {
        "version": result.version,
        "serial": result.serial,
        "settings": msgspec.to_builtins(result.settings),
    }
    collapse(routes)
    passed = [routes, endpoints, memfd("tulle-names", result.names), memfd("tulle-table", result.table)]
    return answer, passed if tls < 0 else [*passed, tls]


def run_endpoints(arguments: dict[str, Any], descriptors: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Make only the endpoints segment again.

    Descriptors: names, table; and of the answer: endpoints segment, names.
    """
    names, table = descriptors
    previous = _names(names, arguments["released"])
    made = compile_endpoints(
        content(table), previous, arguments["version"], arguments["resolved"], arguments["zone"]
    )
    return {"serial": made.serial}, [made.endpoints_fd, memfd("tulle-names", made.names)]


def _names(descriptor: int, released: int) -> bytes:
    return release_names(content(descriptor), released)


def _source(described: dict[str, Any]) -> ConfigSource:
    if "file" in described:
        return Path(os.fsdecode(described["file"]))
    if "control" in described:
        return followed_config(described["control"], described["state_dir"], described["token_file"])
    return simple_config(described["listen"], described["to"])
