"""`tulle ca`: its options."""

import argparse
from collections.abc import Callable

from tulle.proxy.arguments import add_command, life

DESCRIPTION = """\
A certificate authority for the services of a mesh: a directory with a root and an intermediate, that issues
certificates with SPIFFE identities (spiffe://trust-domain/ns/NAMESPACE/sa/SERVICE) which live for a day."""
EPILOG = """\
First steps:
  tulle ca init ca --trust-domain shop.example
  tulle ca issue ca /ns/default/sa/web --out /etc/tulle
  tulle ca show ca

Each command prints the paths of the files that it has written. `tulle ca COMMAND --help` tells more."""

INIT = """\
Make a certificate authority in a directory, which must not be there yet, or be empty. The directory gets mode
0700 and the keys 0600, and they are never used when others could read them."""
INIT_EPILOG = """\
ca/root-1.key is needed for `tulle ca rotate` only: it may be kept on another machine until then.

Examples:
  tulle ca init ca --trust-domain shop.example
  tulle ca init ca --trust-domain shop.example --longest-life 7d --key ec-p384"""

ISSUE = """\
Issue a certificate for an identity: NAME.pem has the certificate and the intermediate, NAME.key (mode 0600) a
new key, bundle.pem the roots to verify others by. Files that are there are replaced, each as a whole."""
ISSUE_EPILOG = """\
With --csr the key stays where it was made, and nothing but the certificate is written. What the request asks
for is not believed: its identity is ID, and one that asks for another is refused.

Examples:
  tulle ca issue ca spiffe://shop.example/ns/default/sa/web --out /etc/tulle
  tulle ca issue ca /ns/default/sa/web --dns web.shop.example --life 12h
  tulle ca issue ca /ns/default/sa/web --csr web.csr --out certificates
  tulle ca issue ca /ns/default/sa/web --out /etc/tulle --if-due     from cron: at 2/3 of its life"""

ROTATE = """\
Begin to sign by a new intermediate, or with --root go one step from the old root to a new one."""
ROTATE_EPILOG = """\
A root is replaced in three steps, with bundle.pem brought to all who verify after each of them:
  1. tulle ca rotate ca --root add     the bundle has both; the old one signs
  2. tulle ca rotate ca --root use     the new one signs; both are trusted
  3. tulle ca rotate ca --root drop    only the new one is trusted; when no certificate of the old one is left

Examples:
  tulle ca rotate ca
  tulle ca rotate ca --root add"""

SHOW = """\
What is in the directory of a certificate authority, or in a file of certificates: subject, names, validity,
fingerprint. Keys are never shown."""
SHOW_EPILOG = """\
Examples:
  tulle ca show ca
  tulle ca show /etc/tulle/web.pem --format json"""

KEY_KINDS = ("ec-p256", "ec-p384", "ed25519", "rsa-3072")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_command(commands, "ca", "a certificate authority for a mesh", DESCRIPTION, EPILOG)
    own = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for add, name, about, description, epilog in (
        (_add_init, "init", "make a certificate authority", INIT, INIT_EPILOG),
        (_add_issue, "issue", "issue a certificate for an identity", ISSUE, ISSUE_EPILOG),
        (_add_rotate, "rotate", "renew the intermediate or the root", ROTATE, ROTATE_EPILOG),
        (_add_show, "show", "show certificates", SHOW, SHOW_EPILOG),
    ):
        add(add_command(own, name, about, description, epilog))


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument(
        "--trust-domain", metavar="NAME", required=True, help="the first part of every identity: shop.example"
    )
    parser.add_argument(
        "--longest-life",
        type=life,
        default=30 * 86400.0,
        metavar="DURATION",
        help="that a certificate may be asked for (default 30d); an old root must stay trusted that long",
    )
    _add_key(parser, "the kind of the CA's keys")
    parser.set_defaults(run=_run("init"))


def _add_issue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("id", metavar="ID", help="spiffe://trust-domain/ns/x/sa/y, or from /ns on")
    parser.add_argument(
        "--dns", metavar="NAME", action="append", default=[], help="a DNS name besides; may be repeated"
    )
    parser.add_argument(
        "--life", type=life, default=86400.0, metavar="DURATION", help="how long it lives (default 24h)"
    )
    parser.add_argument("--out", metavar="DIR", default=".", help="where to write (default: here)")
    parser.add_argument("--name", metavar="NAME", help="of the files (default: the last part of ID)")
    parser.add_argument(
        "--if-due", action="store_true", help="only when there is none, or 2/3 of its life are over"
    )
    parser.add_argument("--csr", metavar="FILE", help="the request of who has the key; -: from stdin")
    _add_key(parser, "the kind of the new key")
    parser.set_defaults(run=_run("issue"))


def _add_key(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument(
        "--key",
        choices=KEY_KINDS,
        default=KEY_KINDS[0],
        help=f"{about}: {', '.join(KEY_KINDS)} (default {KEY_KINDS[0]})",
        metavar="KIND",
    )


def _add_rotate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument(
        "--root", choices=("add", "use", "drop"), metavar="STEP", help="add, use or drop, see below"
    )
    parser.add_argument(
        "--force", action="store_true", help="drop an old root though certificates of it may be alive"
    )
    parser.set_defaults(run=_run("rotate"))


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="the directory of a CA, or a file of certificates")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text or json")
    parser.set_defaults(run=_run("show"))


def _run(name: str) -> Callable[[argparse.Namespace, object], int]:
    def run(options: argparse.Namespace, proxy: object) -> int:
        from tulle.proxy.identity import ca

        return ca.run(name, options)

    return run
