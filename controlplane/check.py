"""`tulle check`: everything that is wrong with a configuration file, for people to read."""

import sys
from pathlib import Path
from typing import TextIO

from tulle.controlplane.load import Loaded, load_document, read_document, repeated_keys
from tulle.controlplane.model import Config
from tulle.controlplane.problems import ConfigError, Problem


def run_check(path: Path, out: TextIO | None = None, zone: str | None = None) -> int:
    """Print every problem to `out` (stderr), one a line: `file:line: path: message. hint`.

    `zone` is where the proxy will be, whatever the file says.
    The exit status: 0 when the file can be used, though there may be warnings, else 1.
    """
    stream = sys.stderr if out is None else out
    problems: list[Problem] = []
    loaded: Loaded | None = None
    try:
        document = read_document(path)
        loaded = load_document(document, zone=zone)
        loaded.warnings.extend(repeated_keys(document))
    except ConfigError as error:
        problems = error.problems
    for problem in problems:
        print(problem.text(str(path)), file=stream)
    if loaded is None:
        count = len(problems)
        print(f"{path}: refused, {count} error{'' if count == 1 else 's'}", file=stream)
        return 1
    for problem in loaded.warnings:
        print(f"{problem.text(str(path))} (warning {problem.code})", file=stream)
    if uses_tls(loaded.config):
        from tulle.controlplane.check_certificates import certificate_lines
        from tulle.controlplane.tabulate import tabulate

        for line in certificate_lines(tabulate(loaded.config)):
            print(line, file=stream)
    print(f"{path}: fine, {summary(loaded)}", file=stream)
    return 0


def uses_tls(config: Config) -> bool:
    return any(listener.tls for listener in config.listeners) or any(
        cluster.tls for cluster in config.clusters.values()
    )


def summary(loaded: Loaded) -> str:
    """What the configuration has, in one line."""
    config = loaded.config
    routes = sum(len(table) for table in config.routes.values())
    counts = ((len(config.listeners), "listener"), (routes, "route"), (len(config.clusters), "cluster"))
    return ", ".join(f"{count:,} {thing}{'' if count == 1 else 's'}" for count, thing in counts)
