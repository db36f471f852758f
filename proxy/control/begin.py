"""`tulle control` and `tulle token`."""

import argparse
import time
from pathlib import Path

from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.spiffe import SCHEME, parse_workload
from tulle.controlplane.identity.store import open_store
from tulle.controlplane.identity.tokens import make_token
from tulle.controlplane.mesh.names import CONTROL_PATH
from tulle.proxy.failure import Failure
from tulle.proxy.messages import complain, say, warn


def run(command: str, options: argparse.Namespace) -> int:
    """The exit status. `Failure` when it is refused."""
    return control(options) if command == "control" else token(options)


def control(options: argparse.Namespace) -> int:
    from tulle.controlplane.plane import program

    path = Path(options.config)
    try:
        if options.check:
            return check(path)
        program.run(path, say, complain, options.admin)
    except program.ControlError as error:
        raise Failure(*error.lines) from None
    return 0


def check(path: Path) -> int:
    """Say everything that is wrong with the file and the directories that it names."""
    from tulle.controlplane.plane.program import check_files

    loaded, lines = check_files(path)
    for line in lines:
        (warn if loaded else complain)(line)
    if loaded is None:
        raise Failure(f"{path}: refused, {len(lines)} error{'s' * (len(lines) != 1)}")
    say(f"{path}: fine, {len(loaded.services):,} services, {len(loaded.policies):,} policies")
    return 0


def token(options: argparse.Namespace) -> int:
    folder = Path(options.ca)
    try:
        store = open_store(folder)
        domain = store.state.trust_domain
        identity = options.id if options.id.startswith(SCHEME) else f"{SCHEME}{domain}{options.id}"
        workload = parse_workload(identity)
        if workload.trust_domain != domain:
            raise IdentityError(f"{identity} is of another trust domain than the CA in {folder}, {domain}")
        if workload.path == CONTROL_PATH:
            raise IdentityError(f"{identity} is the control plane's own, and nobody else's")
        roots = tuple(shown.facts.fingerprint for shown in store.shown() if shown.role != "intermediate")
        made = make_token(store.secret(), identity, time.time(), options.life, tuple(options.dns), roots)
    except (IdentityError, ValueError) as error:
        raise Failure(*getattr(error, "lines", (str(error),))) from None
    print(made)
    say(f"a join token for {identity}, good once and for {options.life:g} s")
    return 0
