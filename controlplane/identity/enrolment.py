"""How a service comes to its first certificate, and to each further one.

The first is for a join token; later ones are for the certificate that it has. Both times it sends a request,
and gets the identity that the token or its certificate is for, and no other.

Needs the `cryptography` package.
"""

from tulle.controlplane.identity.authority import LEAF_LIFE, Issued
from tulle.controlplane.identity.request import Identity, read_request
from tulle.controlplane.identity.spiffe import parse_workload
from tulle.controlplane.identity.store import Store
from tulle.controlplane.identity.tokens import Used, check_token, use_token


def enrol(ca: Store, used: Used, token: str, request: bytes, now: float, life: float = LEAF_LIFE) -> Issued:
    """A certificate for a join token, which counts as used only when the certificate could be made.

    IdentityError: the token is not valid or was used, or the request is none, or asks for another identity.
    """
    claims = check_token(ca.secret(), token, now)
    allowed = Identity(parse_workload(claims.identity), claims.dns_names)
    issued = ca.issue(read_request(request), allowed, now, life)
    use_token(claims, used, now)
    return issued


def renew(ca: Store, current: Identity, request: bytes, now: float, life: float = LEAF_LIFE) -> Issued:
    """A certificate for who has shown the one of `current` in a handshake, and so has its key."""
    return ca.issue(read_request(request), current, now, life)
