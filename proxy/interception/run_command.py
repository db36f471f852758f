"""`tulle run`: its options."""

import argparse

from tulle.proxy.arguments import add_command, duration

DESCRIPTION = """\
Run an application beside its sidecar: it begins when the sidecar is ready. On TERM or INT nobody new comes in
and what is at work is finished, then the application gets TERM; what it still sends goes out until it has
gone, and then the sidecar leaves too. All other signals are passed on, and a second TERM or INT at once. The
exit status is the application's, or 128 and the number of the signal that has ended it."""
EPILOG = """\
Examples:
  tulle run -- python server.py
  tulle run --admin 127.0.0.1:15000 --wait 2m --grace 20s -- java -jar shop.jar
  tulle run --wait 5s --keep-sidecar -- true        is the sidecar ready?"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_command(commands, "run", "run an application beside its sidecar", DESCRIPTION, EPILOG)
    parser.add_argument(
        "--admin",
        metavar="ADDRESS",
        default="127.0.0.1:15000",
        help="of the sidecar (default 127.0.0.1:15000)",
    )
    parser.add_argument(
        "--wait", type=duration, default=60.0, metavar="DURATION", help="for the sidecar (default 60s)"
    )
    parser.add_argument(
        "--grace", type=duration, default=10.0, metavar="DURATION",
        help="that inbound work has to be finished (default 10s)",
    )  # fmt: skip
    parser.add_argument(
        "--outbound",
        metavar="LISTENER",
        action="append",
        default=[],
        help="that goes on until the application has gone, `name*` all that begin so; may be repeated"
        " (default outbound*)",
    )
    parser.add_argument("--keep-sidecar", action="store_true", help="do not have it leave in the end")
    parser.add_argument("command", metavar="COMMAND", nargs="+", help="after --, with its arguments")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace, proxy: None) -> int:
    from tulle.proxy.interception.run import Plan, run

    return run(
        options.command,
        Plan(
            admin=options.admin,
            wait=options.wait,
            keep=tuple(options.outbound) or ("outbound*",),
            grace=options.grace,
            stops_sidecar=not options.keep_sidecar,
        ),
    )
