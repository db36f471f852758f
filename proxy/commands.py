"""The commands and their options. What a command does is imported when it runs."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import tulle
from tulle.proxy.arguments import add_command, count
from tulle.proxy.control import commands as control_commands
from tulle.proxy.demo import command as demo
from tulle.proxy.failure import Failure
from tulle.proxy.identity import ca_command
from tulle.proxy.injection import command as injection
from tulle.proxy.interception import redirect_command, run_command
from tulle.proxy.messages import complain

if TYPE_CHECKING:
    from tulle.proxy.start import Options

DESCRIPTION = "Tulle is a service mesh: a sidecar proxy beside every service."
EPILOG = """\
First steps:
  tulle demo                                              see a small mesh at work
  tulle proxy --listen 127.0.0.1:8080 --to 127.0.0.1:9001   a sidecar without a file
  tulle check tulle.yaml                                  what is wrong with a configuration
  tulle proxy -c tulle.yaml --pid-file tulle.pid          a sidecar
  tulle reload --pid-file tulle.pid                       have it take the changed file

`tulle COMMAND --help` tells more. Exit status: 0 done, 1 refused or failed, 2 wrong usage."""

PROXY = """\
Run a sidecar in the foreground. It takes connections once it says "ready" on stderr; the configuration is
YAML, TOML or JSON by the file's ending. Every error of a bad one is said at once."""
PROXY_EPILOG = """\
Signals: HUP takes the changed file, whole or not at all; TERM and INT finish what there is and leave, at the
latest after drain_timeout, a second one leaves at once; USR1 opens the access log anew; USR2 replaces the
running program without dropping a connection.

Examples:
  tulle proxy -c tulle.yaml
  tulle proxy -c tulle.yaml --workers 2 --pid-file /run/tulle.pid
  tulle proxy --listen 127.0.0.1:8080 --to 127.0.0.1:9001 --to 127.0.0.1:9002
  tulle proxy --control 127.0.0.1:15010 --token-file cart.token"""

RELOAD = """\
Have a running proxy take its changed file, wait, and say the new version, or every reason why it was refused;
the old configuration serves on then."""
RELOAD_EPILOG = """\
Examples:
  tulle reload --pid-file /run/tulle.pid
  tulle reload --pid 4711"""

CHECK = """\
Validate a configuration: every error with its place and what would be right. Nothing is started."""
CHECK_EPILOG = """\
Example:
  tulle check tulle.yaml && tulle reload --pid-file /run/tulle.pid"""

EXPLAIN = """\
Which route, cluster, time-outs and retries a request gets, and why not another. The answer comes from the
matcher that the workers use; nothing is started."""
EXPLAIN_EPILOG = """\
Exit status 1 when no route takes the request.

Examples:
  tulle explain -c tulle.yaml GET http://shop.example.com/api
  tulle explain -c tulle.yaml -H 'host: shop.example.com' -H 'x-canary: 1' GET '/api?v=2'"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where to read on."""

    def error(self, message: str) -> NoReturn:
        complain(f"{message}; see `{self.prog} --help`")
        raise SystemExit(2)


def run(words: Sequence[str], proxy: "Callable[[Options], int] | None" = None) -> int:
    """Run the command that these words are; the exit status. `proxy` runs a sidecar, when they say so."""
    options = make_parser().parse_args(words)
    try:
        return int(options.run(options, proxy))
    except Failure as failure:
        for line in failure.lines:
            complain(line)
        return 1
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = Parser(
        prog="tulle",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tulle {tulle.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    _add_proxy(add_command(commands, "proxy", "run a sidecar in the foreground", PROXY, PROXY_EPILOG))
    _add_check(add_command(commands, "check", "validate a configuration", CHECK, CHECK_EPILOG))
    _add_reload(
        add_command(commands, "reload", "have a sidecar take its changed file", RELOAD, RELOAD_EPILOG)
    )
    _add_explain(
        add_command(commands, "explain", "which route takes a request, and why", EXPLAIN, EXPLAIN_EPILOG)
    )
    ca_command.add_parser(commands)
    control_commands.add_parsers(commands)
    injection.add_parsers(commands)
    redirect_command.add_parser(commands)
    run_command.add_parser(commands)
    demo.add_parser(commands)
    return parser


def _add_proxy(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what to run, one of").add_mutually_exclusive_group(required=True)
    what.add_argument("-c", "--config", metavar="FILE", help="the configuration")
    what.add_argument("--listen", metavar="ADDRESS", help="without a file: take connections at HOST:PORT")
    what.add_argument(
        "--control",
        metavar="ADDRESS",
        action="append",
        help="have all from the control plane at HOST:PORT; may be repeated",
    )
    parser.add_argument(
        "--to",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="and pass requests on to there; may be repeated",
    )
    parser.add_argument("--token-file", metavar="FILE", help="the join token, with --control")
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        default="/var/lib/tulle",
        help="where its certificate and its part of the mesh are kept, with --control",
    )
    parser.add_argument(
        "--workers",
        type=count,
        metavar="N",
        help="instead of the configuration's; default: the CPUs it may use",
    )
    parser.add_argument(
        "--pid-file",
        metavar="FILE",
        help="written when the proxy is ready, removed when it leaves",
    )
    _add_zone(parser)
    parser.set_defaults(run=_run_proxy, parser=parser)


def _add_zone(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--zone",
        type=_zone,
        metavar="NAME",
        default=os.environ.get("TULLE_ZONE") or None,
        help="where the proxy is, instead of the configuration's zone; default: the variable TULLE_ZONE",
    )


def _run_proxy(options: argparse.Namespace, proxy: "Callable[[Options], int]") -> int:
    from tulle.proxy.start import Options

    if bool(options.listen) != bool(options.to):
        options.parser.error("--listen and --to go together")
    source: dict[str, Any] = {"listen": options.listen, "to": options.to}
    if options.config:
        source = {"file": options.config}
    elif options.control:
        own = {"state_dir": options.state_dir, "token_file": options.token_file}
        source = {"control": options.control, **own}
    if options.zone is not None:
        source["zone"] = options.zone
    return proxy(Options(source, options.workers, options.pid_file, tuple(sys.argv[1:])))


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="YAML, TOML or JSON, by its ending")
    _add_zone(parser)
    parser.set_defaults(run=_run_check)


def _run_check(options: argparse.Namespace, proxy: None) -> int:
    from pathlib import Path

    from tulle.controlplane.check import run_check

    return run_check(Path(options.file), zone=options.zone)


def _add_reload(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--pid-file", metavar="FILE", help="the PID file of the proxy")
    which.add_argument("--pid", type=count, metavar="N", help="its PID")
    parser.add_argument(
        "--runtime-dir",
        metavar="DIR",
        help="where its control socket is, if its configuration says so",
    )
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="how long to wait (default 60)"
    )
    parser.set_defaults(run=_run_reload)


def _run_reload(options: argparse.Namespace, proxy: None) -> int:
    from tulle.proxy import reload_command

    return reload_command.run(options.pid_file, options.pid, options.runtime_dir, options.timeout)


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c", "--config", metavar="FILE", required=True, help="YAML, TOML or JSON, by its ending"
    )
    parser.add_argument(
        "-H", "--header", metavar="'NAME: VALUE'", action="append", default=[], help="may be repeated"
    )
    parser.add_argument("--listener", metavar="NAME", help="which takes the request (default: the first)")
    asker = parser.add_argument_group("who asks, for authorization policies")
    asker.add_argument("--principal", metavar="NAME", default="", help="whom the client's certificate names")
    asker.add_argument("--source", metavar="ADDRESS", default="", help="the address it connects from")
    asker.add_argument(
        "--client",
        metavar="ADDRESS",
        default="",
        help="its address as trusted proxies tell it (default: SOURCE)",
    )
    asker.add_argument(
        "--claim", metavar="NAME=VALUE", action="append", default=[], help="of its token; may be repeated"
    )
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("url", metavar="URL", help="a whole one, or a path with a host header")
    parser.set_defaults(run=_run_explain)


def _run_explain(options: argparse.Namespace, proxy: None) -> int:
    from pathlib import Path

    from tulle.proxy.explain import run_explain
    from tulle.proxy.explain_policies import Asker

    asker = Asker(options.principal, options.source, options.client, options.claim)
    return run_explain(
        Path(options.config), options.method, options.url, options.header, options.listener, asker=asker
    )


def _zone(text: str) -> str:
    """A name that endpoints may have as their zone."""
    if not 1 <= len(text) <= 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a zone: 1 to 63 characters")
    return text
