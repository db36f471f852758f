"""`tulle redirect`: its options."""

import argparse
import ipaddress
import sys

from tulle.proxy.arguments import add_command, port
from tulle.proxy.failure import Failure

DESCRIPTION = """\
Send the TCP traffic of this network namespace to its sidecar: all that comes in to port 15006, all that goes
out to port 15001. Left out are loopback, what the sidecar's own user sends, and what the options name. The
rules take the place of those of an earlier call, at once."""
EPILOG = """\
It needs root, or the capability NET_ADMIN. The listeners at these ports need `original_destination: true`.

Examples:
  tulle redirect --user tulle --exclude-inbound-port 22
  tulle redirect --user 1337 --exclude-outbound-range 10.0.0.0/8 --dry-run
  tulle redirect --remove
  ip netns exec web tulle redirect --user 1337"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_command(commands, "redirect", "send a machine's traffic to its sidecar", DESCRIPTION, EPILOG)
    parser.add_argument(
        "--user",
        metavar="USER",
        action="append",
        default=[],
        help="of the sidecar, a name or a number; its traffic is not redirected; may be repeated",
    )
    parser.add_argument("--inbound-port", type=port, default=15006, metavar="PORT", help="default 15006")
    parser.add_argument("--outbound-port", type=port, default=15001, metavar="PORT", help="default 15001")
    for direction, whose in (("inbound", "of this machine"), ("outbound", "of others")):
        parser.add_argument(
            f"--exclude-{direction}-port",
            type=port,
            action="append",
            default=[],
            metavar="PORT",
            help=f"{whose}; may be repeated",
        )
    for direction, whose in (("inbound", "that connect"), ("outbound", "that are connected to")):
        parser.add_argument(
            f"--exclude-{direction}-range",
            type=_range,
            action="append",
            default=[],
            metavar="RANGE",
            help=f"addresses {whose}, as 10.0.0.0/8; may be repeated",
        )
    parser.add_argument("--ipv4-only", action="store_true", help="leave IPv6 alone")
    parser.add_argument(
        "--tool",
        choices=("auto", "nft", "iptables"),
        default="auto",
        help="what writes the rules (default: nft if there)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the rules, and change nothing")
    parser.add_argument("--remove", action="store_true", help="take the rules away")
    parser.set_defaults(run=_run, parser=parser)


def _run(options: argparse.Namespace, proxy: None) -> int:
    from tulle.proxy.interception import redirect
    from tulle.proxy.interception.rules import Redirection
    from tulle.proxy.messages import say

    if not options.remove and not options.user:
        options.parser.error("say by --user whose traffic is the sidecar's own")
    tool = options.tool if options.dry_run and options.tool != "auto" else redirect.choose_tool(options.tool)
    if options.remove:
        if options.dry_run:
            sys.stdout.write(redirect.describe_removal(tool))
        else:
            redirect.remove(tool)
            say("nothing is redirected any more")
        return 0
    wanted = Redirection(
        users=tuple(dict.fromkeys(_user(text) for text in options.user)),
        inbound_port=options.inbound_port,
        outbound_port=options.outbound_port,
        exclude_inbound_ports=tuple(options.exclude_inbound_port),
        exclude_outbound_ports=tuple(options.exclude_outbound_port),
        exclude_inbound_ranges=tuple(options.exclude_inbound_range),
        exclude_outbound_ranges=tuple(options.exclude_outbound_range),
        ipv6=not options.ipv4_only,
    )
    if options.dry_run:
        sys.stdout.write(redirect.describe(wanted, tool))
        return 0
    redirect.apply(wanted, tool)
    say(f"inbound TCP goes to port {wanted.inbound_port}, outbound to port {wanted.outbound_port}")
    return 0


def _user(text: str) -> int:
    import pwd

    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        raise Failure(f"there is no user {text!r} here; make it, or give its number") from None


def _range(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; write a range as 10.0.0.0/8 or fd00::/8") from None
