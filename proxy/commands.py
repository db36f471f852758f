"""The commands and their options."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tulle.proxy.demo import command as demo
from tulle.proxy.failure import Failure
from tulle.proxy.messages import complain
from tulle.proxy.spawner import Handle


def run(words: Sequence[str], spawner: Handle | None) -> int:
    """Run the command that these words are; the exit status.

    `spawner` is for `proxy`.
    """
    parser = make_parser()
    options = parser.parse_args(words)
    try:
        return int(options.run(options, spawner))
    except Failure as failure:
        for line in failure.lines:
            complain(line)
        return 1
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tulle", description="A sidecar proxy of a service mesh.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    proxy = commands.add_parser("proxy", help="run a sidecar in the foreground")
    proxy.add_argument("-c", "--config", metavar="FILE", help="the configuration, YAML, TOML or JSON")
    proxy.add_argument("--listen", metavar="ADDRESS")
    proxy.add_argument("--to", metavar="ADDRESS", action="append", default=[])
    proxy.add_argument("--workers", type=int, metavar="N")
    proxy.add_argument("--pid-file", type=Path, metavar="FILE")
    proxy.set_defaults(run=run_proxy, parser=proxy)
    demo.add_parser(commands)
    return parser


def run_proxy(options: argparse.Namespace, spawner: Handle) -> int:
    from tulle.proxy import start

    if (options.config is None) == (options.listen is None):
        options.parser.error("give a configuration with -c FILE, or --listen ADDRESS and --to ADDRESS")
    if bool(options.listen) != bool(options.to):
        options.parser.error("--listen and --to go together")
    source = {"file": options.config} if options.config else {"listen": options.listen, "to": options.to}
    return start.run(spawner, start.Options(source, options.workers, options.pid_file, tuple(sys.argv)))
