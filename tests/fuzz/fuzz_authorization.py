"""What strangers can write of authorization: mutated tokens, and fields that policies are asked about.

A token that is not byte for byte one that was signed never holds, and never raises. What policies decide
about header fields must be what a few lines of Python decide. Input number N is made from N, and from keys.
"""

import os
import random
import tempfile
import time
from pathlib import Path

import msgspec

from tests.proxy.tokens.issuer import Issuer
from tulle._fast.policy.authorization_view import Authorizer
from tulle.controlplane.compile import routes_image
from tulle.controlplane.load import Document, load_document
from tulle.controlplane.table import TokenProviderRow
from tulle.controlplane.tabulate import tabulate
from tulle.proxy.tokens.keys import KeySet, read_keys
from tulle.proxy.tokens.verify import Question, Reason, verify

NOW = 1_700_000_000
CLAIMS = {"iss": "i", "aud": ["a"], "exp": NOW + 60, "roles": ["x", "y"]}
PIECES = (b".", b"..", b"=", b"e30", b"bnVsbA", b"W10", b"-_", b"\0", b"eyJhbGciOiJub25lIn0", b" ", b"\xff")
WORDS = (b"", b"a", b"ab", b"b", b"a,b", b"b,a", b",", b"aab", b"ba")
PATTERNS = ("a", "a*", "*a", "*", "ab", "*b", "b*", "a,b", "*,b", "b,*", "aab")


class Bench:
    """Issuers, a provider that believes them, and tokens that hold."""

    def __init__(self) -> None:
        issuers = [Issuer("ES256", "e"), Issuer("EdDSA", "d"), Issuer("RS256", "r")]
        keys = [key for one in issuers for key in read_keys(one.jwks()).keys]
        self.keys = KeySet(tuple(keys), ())
        row = TokenProviderRow("p", "i", ("a",), 0, "k", "", 1, ((0, ("roles",)),))
        self.question = Question((row,), (("roles",),))
        self.good = [one.token(CLAIMS) for one in issuers]


def mutate(chance: random.Random, token: bytes) -> bytes:
    for _ in range(chance.randrange(1, 5)):
        position = chance.randrange(len(token) + 1)
        removed = chance.choice((0, 1, 1, 4, 60))
        piece = chance.choice(
            (chance.choice(PIECES), chance.randbytes(1), token[position : position + removed] * 2, b"")
        )
        token = token[:position] + piece + token[position + removed :]
    return token


def check_token(chance: random.Random, bench: Bench) -> None:
    token = mutate(chance, chance.choice(bench.good))
    verdict = verify(token, bench.question, lambda row: bench.keys, NOW)
    assert (verdict.reason == Reason.NONE) == (token in bench.good), token


def holds(pattern: str, value: bytes) -> bool:
    text = value.decode()
    if pattern == "*":
        return bool(text)
    if pattern.endswith("*"):
        return bool(text) and text.startswith(pattern[:-1])
    if pattern.startswith("*"):
        return bool(text) and text.endswith(pattern[1:])
    return text == pattern


def check_policy(chance: random.Random) -> None:
    """One condition on a field, in a policy of one rule, against fields in one line or in several."""
    action, key = chance.choice(("allow", "deny")), chance.choice(("values", "not_values"))
    patterns = chance.sample(PATTERNS, chance.randrange(1, 4))
    lines = [chance.choice(WORDS) for _ in range(chance.randrange(4))]
    config = {
        "listeners": [{"name": "l", "address": "127.0.0.1:1", "routes": "t"}],
        "routes": {"t": [{"response": {}}]},
        "policies": {"p": {"action": action, "rules": [{"when": [{"header": "x", key: patterns}]}]}},
    }
    table = tabulate(load_document(Document(msgspec.json.encode(config), "json")).config)
    fields = [(b"x", line) for line in lines] + [(b"y", b"a")]
    chance.shuffle(fields)
    lines = [value for name, value in fields if name == b"x"]
    allowed = Authorizer(bytes(routes_image(table))).ask(0, 0, (b"GET", b"h", b"/", fields))[0]
    joined = any(holds(pattern, b",".join(lines)) for pattern in patterns) if lines else False
    single = any(holds(pattern, line) for pattern in patterns for line in lines)
    found = joined or single if (action == "deny") != (key == "not_values") else joined
    matches = found != (key == "not_values")
    assert allowed == (matches if action == "allow" else not matches), (config, fields)


def check(number: int, bench: Bench) -> None:
    chance = random.Random(number)
    if number % 8:
        check_token(chance, bench)
    else:
        check_policy(chance)


def main(seconds: float) -> int:
    """Try inputs for so long; how many there were."""
    bench = Bench()
    number = start = int.from_bytes(os.urandom(6), "big")
    note = Path(tempfile.gettempdir()) / f"tulle-fuzz-authorization-{os.getpid()}"
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            note.write_text(f"check({number})\n")
            check(number, bench)
            number += 1
    except BaseException:
        print(f"fuzz_authorization: check({number}) failed", flush=True)
        raise
    note.unlink()
    return number - start
