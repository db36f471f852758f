"""The commands of a mesh and their options. What a command does is imported when it runs."""

import argparse
from collections.abc import Callable

from tulle.proxy.arguments import add_command, life

CONTROL = """\
Run the control plane of a mesh in the foreground: it reads what the file and its sources say, and gives each
sidecar its part. With --check, say what is wrong with the file and leave."""
CONTROL_EPILOG = """\
Examples:
  tulle ca init ca --trust-domain shop.example
  tulle control -c mesh.yaml
  tulle control -c mesh.yaml --check
  tulle control -c mesh.yaml --admin 127.0.0.1:15012"""

TOKEN = """\
Make a join token: by it a sidecar gets its first certificate, once, for one identity. It goes to stdout."""
TOKEN_EPILOG = """\
Example:
  tulle token /ns/shop/sa/cart --ca ca > cart.token"""

REGISTER = """\
Have a service of this machine found: its endpoint is in the mesh for as long as this runs, and for the lease
after that at the most. Who asks must be the service, by the certificate in --identity, or an operator."""
REGISTER_EPILOG = """\
Example:
  tulle register cart 10.0.0.7:15006 --control control.example:15010 --identity /var/lib/tulle"""

APPLY = """\
Put a document into the mesh, in place of the one of its name; an empty file removes that. It is refused when
the mesh would not be right with it, with every error. With --wait, return when every sidecar concerned has it
active, or name those that have not."""
APPLY_EPILOG = """\
Examples:
  tulle apply -f shop.yaml --wait
  tulle apply -f shop.yaml --control control.example:15010 --identity operator"""

DIFF = """\
What a document would change, and for whom. Nothing is changed; exit status 1 when something would be."""
GET = """Services, routes, policies or sidecars, as the control plane has them."""
STATUS = """\
A line for each sidecar: version, whether it is synced or stale, how long its certificate lives, the last
error. Exit status 1 when one of them is not synced, or the mesh of the sources is refused."""


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    for name, about, description, epilog, add in (
        ("control", "run the control plane of a mesh", CONTROL, CONTROL_EPILOG, _control),
        ("token", "make a join token for an identity", TOKEN, TOKEN_EPILOG, _token),
        ("register", "have a service of this machine found", REGISTER, REGISTER_EPILOG, _register),
        ("apply", "put a document into the mesh", APPLY, APPLY_EPILOG, _apply),
        ("diff", "what a document would change", DIFF, None, _document),
        ("get", "show services, routes, policies, sidecars", GET, None, _get),
        ("status", "show how sidecars follow the mesh", STATUS, None, _look),
    ):
        parser = add_command(commands, name, about, description, epilog)
        add(parser)
        parser.set_defaults(run=_run(name))


def _run(name: str) -> Callable[[argparse.Namespace, object], int]:
    def run(options: argparse.Namespace, proxy: object) -> int:
        if name in ("control", "token"):
            from tulle.proxy.control import begin

            return begin.run(name, options)
        from tulle.proxy.control import operate

        return operate.run(name, options)

    return run


def _control(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--config", metavar="FILE", required=True, help="the mesh, or its first file")
    parser.add_argument("--check", action="store_true", help="only say what is wrong with it")
    parser.add_argument(
        "--admin",
        type=_admin,
        metavar="ADDRESS",
        help="serve /ready, /status and /metrics there, HOST:PORT or unix:/path, whatever the file says",
    )


def _admin(text: str) -> str:
    from tulle.controlplane.address import parse_address

    try:
        parse_address(text, lowest_port=0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="spiffe://trust-domain/ns/x/sa/y, or from /ns on")
    parser.add_argument("--ca", metavar="DIR", default="ca", help="the certificate authority (default: ca)")
    parser.add_argument(
        "--dns", metavar="NAME", action="append", default=[], help="a DNS name besides; may be repeated"
    )
    parser.add_argument(
        "--life", type=life, default=3600.0, metavar="DURATION", help="how long it is good (default 1h)"
    )


def _where(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("where the control plane is")
    where.add_argument(
        "--socket",
        metavar="FILE",
        default="mesh.sock",
        help="its socket on this machine (default: mesh.sock)",
    )
    where.add_argument("--control", metavar="ADDRESS", help="or its address, HOST:PORT, with")
    where.add_argument(
        "--identity", metavar="DIR", help="identity.pem, identity.key and bundle.pem of who asks"
    )


def _register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service", metavar="SERVICE")
    parser.add_argument("endpoint", metavar="ADDRESS", help="where it takes connections, HOST:PORT")
    parser.add_argument("--weight", type=int, default=1, metavar="N")
    parser.add_argument("--zone", default="", metavar="NAME")
    parser.add_argument(
        "--lease", type=life, default=30.0, metavar="DURATION", help="renewed at thirds (default 30s)"
    )
    parser.add_argument("--once", action="store_true", help="register for one lease, and leave")
    _where(parser)


def _document(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f", "--file", metavar="FILE", required=True, help="YAML, TOML or JSON, by its ending"
    )
    _look(parser)


def _apply(parser: argparse.ArgumentParser) -> None:
    _document(parser)
    parser.add_argument("--wait", action="store_true", help="until it is active in every sidecar")
    parser.add_argument(
        "--timeout", type=life, default=30.0, metavar="DURATION", help="of --wait (default 30s)"
    )


def _look(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text or json")
    _where(parser)


def _get(parser: argparse.ArgumentParser) -> None:
    kinds = ("services", "routes", "policies", "sidecars")
    parser.add_argument("kind", choices=kinds, metavar="KIND", help=f"{', '.join(kinds[:-1])} or {kinds[-1]}")
    _look(parser)
