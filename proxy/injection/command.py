"""`tulle inject` and `tulle uninject`: their options, and the files that they read and write."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from tulle.proxy.arguments import add_command
from tulle.proxy.failure import Failure
from tulle.proxy.messages import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from tulle.proxy.injection.settings import Settings

    Change = Callable[[str, str], tuple[str, list[str]]]

INJECT = """\
Give the pods of Kubernetes manifests, or the containers of an ECS task definition, their sidecar: the
container, the set-up step that redirects traffic to it, its configuration, and probes that reach the
application past strict mutual TLS. What is not concerned stays as it is written, comments and all; a second
time changes nothing."""
INJECT_EPILOG = """\
Annotations of a pod (labels of an ECS container): tulle.mesh/inject: "false" leaves it alone;
tulle.mesh/image, rewrite-probes, exclude-inbound-ports, exclude-outbound-ports, exclude-outbound-ranges and
token-secret say otherwise than the options.

Examples:
  tulle inject shop.yaml | kubectl apply -f -
  kubectl get deployment web -o yaml | tulle inject - | kubectl apply -f -
  tulle inject --in-place manifests/
  tulle inject --control tulle-control.tulle-system:15010 shop.yaml | kubectl apply -f -
  tulle inject --no-redirect task-definition.json -o injected.json"""
UNINJECT = """\
Take away what `tulle inject` has added: the text is what it was before."""
UNINJECT_EPILOG = """\
Examples:
  tulle uninject --in-place manifests/
  kubectl get deployment web -o yaml | tulle uninject - | kubectl apply -f -"""

ENDINGS = (".yaml", ".yml", ".json")
LARGEST = 64 << 20  # bytes of a file


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = add_command(commands, "inject", "give manifests their sidecars", INJECT, INJECT_EPILOG)
    _add_files(parser)
    parser.add_argument("--image", metavar="NAME", help="the sidecar's image")
    parser.add_argument(
        "--sidecar",
        choices=("native", "ordinary"),
        default="native",
        help="native (default): an init container that stays, from Kubernetes 1.29 on",
    )
    parser.add_argument(
        "--config", metavar="FILE", help="the sidecar's configuration, in place of the default"
    )
    parser.add_argument(
        "--control",
        metavar="ADDRESS",
        action="append",
        default=[],
        type=_address,
        help="have all from the control plane at HOST:PORT; may be repeated",
    )
    parser.add_argument(
        "--token-secret",
        metavar="NAME",
        help="with --control: the Secret with its join tokens (default tulle-join-ACCOUNT), for ECS the ARN",
    )
    parser.add_argument(
        "--no-redirect", action="store_true", help="no set-up step: traffic is not redirected"
    )
    parser.add_argument("--no-probes", action="store_true", help="leave health probes as they are")
    parser.add_argument("--ipv4-only", action="store_true", help="where the network has no IPv6")
    parser.add_argument("--cpu", metavar="AMOUNT", help="that the sidecar requests (default 10m)")
    parser.add_argument("--memory", metavar="AMOUNT", help="that the sidecar requests (default 40Mi)")
    parser.set_defaults(run=_run_inject)
    about = "take the sidecars out of manifests"
    parser = add_command(commands, "uninject", about, UNINJECT, UNINJECT_EPILOG)
    _add_files(parser)
    parser.set_defaults(run=_run_uninject)


def _address(text: str) -> str:
    from tulle.controlplane.address import parse_address

    try:
        parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        default=["-"],
        help="files or directories; - is stdin, the default",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-o", "--output", metavar="FILE", help="where to write, instead of stdout")
    where.add_argument("--in-place", action="store_true", help="write the files that were read")


def _run_inject(options: argparse.Namespace, proxy: None) -> int:
    from tulle.proxy.injection.injector import inject

    settings = _settings(options)
    return _run(options, lambda text, name: inject(text, name, settings))


def _run_uninject(options: argparse.Namespace, proxy: None) -> int:
    from tulle.proxy.injection.injector import uninject

    return _run(options, uninject)


def _settings(options: argparse.Namespace) -> "Settings":
    from tulle.proxy.injection.kubernetes import parse_config
    from tulle.proxy.injection.settings import Settings

    if options.token_secret and not options.control:
        raise Failure("--token-secret goes with --control: without a control plane nothing is joined")
    names = ("image", "cpu", "memory", "token_secret")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    config = parse_config(_read(options.config), options.config) if options.config else None
    return Settings(
        sidecar=options.sidecar,
        redirect=not options.no_redirect,
        rewrite_probes=not options.no_probes,
        ipv6=not options.ipv4_only,
        config=config,
        control=tuple(options.control),
        **given,
    )


def _run(options: argparse.Namespace, change: "Change") -> int:
    """All files are changed before one is written: a refusal leaves everything as it was."""
    names = _files(options.files)
    if options.in_place and "-" in names:
        raise Failure("stdin cannot be written in place; leave out --in-place")
    sources = {name: _read(name) for name in names}
    results = {}
    reasons: list[str] = []
    for name, source in sources.items():
        try:
            results[name], notes = change(source, "stdin" if name == "-" else name)
        except Failure as failure:
            reasons += failure.lines
            continue
        for note in notes:
            say(note)
    if reasons:
        raise Failure(*reasons)
    if options.in_place:
        for name, result in results.items():
            if result != sources[name]:
                _write(name, result)
        return 0
    together = _join(list(results.values()))
    if options.output:
        _write(options.output, together)
    else:
        sys.stdout.write(together)
        sys.stdout.flush()
    return 0


def _files(names: list[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        if name != "-" and os.path.isdir(name):
            inside = sorted(entry for entry in os.listdir(name) if entry.endswith(ENDINGS))
            found += [os.path.join(name, entry) for entry in inside]
        else:
            found.append(name)
    if not found:
        raise Failure(f"there are no manifests ({', '.join(ENDINGS)}) in {', '.join(names)}")
    return list(dict.fromkeys(found))


def _read(name: str) -> str:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with open(name, "rb") as file:
                data = file.read(LARGEST + 1)
    except OSError as error:
        raise Failure(f"cannot read {name}: {error.strerror}") from None
    if len(data) > LARGEST:
        raise Failure(f"{name} is larger than {LARGEST >> 20} MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Failure(f"{name}: is not UTF-8 at byte {error.start}") from None


def _write(name: str, text: str) -> None:
    """Replace the file as a whole, with the permissions that it had."""
    temporary = f"{name}.tulle-{os.getpid()}"
    try:
        mode = os.stat(name).st_mode & 0o7777 if os.path.exists(name) else None
        with open(temporary, "wb") as file:
            file.write(text.encode())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, os.path.realpath(name))
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise Failure(f"cannot write {name}: {error.strerror}") from None


def _join(texts: list[str]) -> str:
    """One stream of documents."""
    joined = texts[0]
    for text in texts[1:]:
        if joined and not joined.endswith("\n"):
            joined += "\n"
        joined += text if text.startswith("---") else f"---\n{text}"
    return joined
