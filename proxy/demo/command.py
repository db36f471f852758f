"""`tulle demo`: its options."""

import argparse

from tulle.proxy.arguments import add_command

DESCRIPTION = """\
A whole small mesh on this machine, to try it out: a sidecar, behind it a shop in two versions and a service
that is slow and fails now and then, and traffic of its own. Watch the figures while the split between the
two versions moves from 90/10 to 50/50 to 0/100 and back: every step rewrites the sidecar's configuration
and sends it SIGHUP, and no request fails.

With --mesh: a control plane with an authority of its own, and five services, each instance on an address of
its own with a sidecar that has enrolled by a join token: the web, which asks a cart, reviews, and a stock by
gRPC, and advice, which streams events. Of the reviews one instance always fails, and is put out. The others
get a new version one after the other, by `tulle apply --wait`: 10 % of the requests, 50 %, all; then the old
instances drain and go, and no request fails."""

EPILOG = """\
What to look for:
  shop       the split follows each reload at once; `failed` stays 0
  reports    retries hide most of its 503s; when more than 8 requests are open at once, the circuit breaker
             turns the next away at once, instead of letting them pile up (overflow)

What to try:
  tulle demo --step 0               the split is yours: edit the file that is named on the screen, send SIGHUP
  tulle demo --seconds 20 | cat     figures as lines, one a second
  tulle demo --mesh                 the mesh, with a deployment after the other
  tulle demo --mesh --step 0        the mesh as it is, for changes of yours
The curl commands that are printed work as they are. Ctrl-C ends everything that was started."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "a whole small mesh on this machine, to try it out"
    parser = add_command(commands, "demo", about, DESCRIPTION, EPILOG)
    parser.add_argument(
        "--mesh", action="store_true", help="a control plane and five services, each with its sidecars"
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=0.0, metavar="N", help="end after so many seconds"
    )
    parser.add_argument(
        "--step",
        type=_seconds,
        metavar="N",
        help="seconds between two changes of the split; 0: none (default 10, with --mesh 5, less when"
        " --seconds is short)",
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        metavar="N",
        help="requests a second to the shop (default 400, with --mesh 80)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=0,
        metavar="N",
        help="where requests come in (default 8080, or another when that is taken)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, proxy: object) -> int:
    step, rate = options.step, options.rate
    if step is None:
        usual = 5.0 if options.mesh else 10.0
        step = min(usual, options.seconds / 5) if options.seconds else usual
    if rate is None:
        rate = 80.0 if options.mesh else 400.0
    if options.mesh:
        from tulle.proxy.demo.shop import show as shop

        return shop.run(shop.Options(options.port, rate, step, options.seconds))
    from tulle.proxy.demo import show

    return show.run(show.Options(options.port, rate, step, options.seconds))


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
