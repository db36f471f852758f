"""`tulle demo`: its options."""

import argparse

DESCRIPTION = """\
A whole small mesh on this machine, to try it out: a sidecar, behind it a shop in two versions and a service
that is slow and fails now and then, and traffic of its own. Watch the figures while the split between the
two versions moves from 90/10 to 50/50 to 0/100 and back: every step rewrites the sidecar's configuration
and sends it SIGHUP, and no request fails."""

EPILOG = """\
What to look for:
  shop       the split follows each reload at once; `failed` stays 0
  reports    retries hide most of its 503s; when more than 8 requests are open at once, the circuit breaker
             turns the next away at once, instead of letting them pile up (overflow)

What to try:
  tulle demo --step 0               the split is yours: edit the file that is named on the screen, send SIGHUP
  tulle demo --seconds 20 | cat     figures as lines, one a second
The curl commands that are printed work as they are. Ctrl-C ends everything that was started."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "demo",
        help="a whole small mesh on this machine, to try it out",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=0.0, metavar="N", help="end after so many seconds"
    )
    parser.add_argument(
        "--step",
        type=_seconds,
        metavar="N",
        help="seconds between two changes of the split; 0: none (default 10, less when --seconds is short)",
    )
    parser.add_argument(
        "--rate", type=_rate, default=400.0, metavar="N", help="requests a second to the shop (default 400)"
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=0,
        metavar="N",
        help="the sidecar's (default 8080, or another when that is taken)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, spawner: object) -> int:
    from tulle.proxy.demo import show

    step = options.step
    if step is None:
        step = min(10.0, options.seconds / 5) if options.seconds else 10.0
    return show.run(show.Options(options.port, options.rate, step, options.seconds))


def _seconds(text: str) -> float:
    return _number(text, 0, 86_400)


def _rate(text: str) -> float:
    return _number(text, 1, 2000)


def _port(text: str) -> int:
    return int(_number(text, 1, 65_535))


def _number(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least:g} to {most:g}")
    return number
