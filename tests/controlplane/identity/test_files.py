"""Everything that is wrong with certificate files is told before a handshake would."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from tests.controlplane.identity.making import CLIENT, DAY, NOW, SERVER, Made, make, write
from tulle.controlplane.identity.facts import FileProblem
from tulle.controlplane.identity.files import Bundle, KeyPair, read_bundle, read_pair
from tulle.controlplane.identity.stamps import stamp

WEB = ("DNS:web.example",)
SVID = "URI:spiffe://example.org/ns/shop/sa/web"


@pytest.fixture(scope="module")
def root() -> Made:
    return make("root", ca=True, ends=NOW + 3650 * DAY)


@pytest.fixture(scope="module")
def middle(root: Made) -> Made:
    return make("middle", root, ca=True, ends=NOW + 365 * DAY)


@pytest.fixture(scope="module")
def leaf(middle: Made) -> Made:
    return make("web", middle, names=WEB)


def errors(found: KeyPair | Bundle) -> list[str]:
    assert found.usable == all(problem.is_warning for problem in found.problems)
    return [problem.code for problem in found.problems if not problem.is_warning]


def warnings(found: KeyPair | Bundle) -> list[str]:
    return [problem.code for problem in found.problems if problem.is_warning]


def texts(found: KeyPair | Bundle) -> str:
    return "\n".join(map(FileProblem.text, found.problems))


def pair(folder: Path, *chain: Made | bytes, key: Made | bytes, **more: object) -> KeyPair:
    certificate = write(folder / "web.pem", *chain, mode=0o644)
    secret = write(folder / "web.key", key.key_pem if isinstance(key, Made) else key)
    return read_pair(certificate, secret, NOW, **more)  # type: ignore[arg-type]


def test_a_good_pair_has_no_problems(tmp_path: Path, leaf: Made, middle: Made) -> None:
    found = pair(tmp_path, leaf, middle, key=leaf)
    assert found.problems == ()
    assert [facts.subject for facts in found.chain] == ["CN=web", "CN=middle"]
    assert found.certificate_pem == leaf.pem + middle.pem
    assert found.key_pem == leaf.key_pem


def test_facts_are_those_that_openssl_finds(
    tmp_path: Path, root: Made, program: Callable[[str], str]
) -> None:
    made = make("web", root, names=("DNS:web.example", SVID, "IP:192.0.2.1", "IP:2001:db8::1"))
    (facts,) = pair(tmp_path, made, key=made).chain
    words = [
        program("openssl"),
        "x509",
        "-in",
        str(tmp_path / "web.pem"),
        "-noout",
        "-fingerprint",
        "-sha256",
    ]
    words += ["-subject", "-issuer", "-serial", "-ext", "subjectAltName", "-nameopt", "RFC2253"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert f"Fingerprint={facts.fingerprint}" in shown
    assert f"subject={facts.subject}\n" in shown
    assert f"issuer={facts.issuer}\n" in shown
    assert f"serial={facts.serial.upper().zfill(40)}" in shown
    assert "DNS:web.example, URI:spiffe://example.org/ns/shop/sa/web, IP Address:192.0.2.1" in shown
    assert facts.names == ("DNS:web.example", SVID, "IP:192.0.2.1", "IP:2001:db8::1")
    assert (facts.not_before, facts.not_after) == (NOW - 60, NOW + 90 * DAY)
    assert (facts.key, facts.is_ca) == ("EC P-256", False)


def test_files_of_openssl_are_read(tmp_path: Path, program: Callable[[str], str]) -> None:
    """With text around the blocks, the curve's parameters before the key, and in one file."""
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-text"]
    words += [
        "-keyout",
        "key.pem",
        "-out",
        "web.pem",
        "-subj",
        "/CN=web",
        "-addext",
        "subjectAltName=DNS:web",
    ]
    words += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([program("openssl"), *words], cwd=tmp_path, capture_output=True, check=True)
    parameters = subprocess.run(
        [program("openssl"), "ecparam", "-name", "prime256v1"], capture_output=True, check=True
    ).stdout
    traditional = subprocess.run(
        [program("openssl"), "pkey", "-in", "key.pem", "-traditional"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    ).stdout
    both = write(
        tmp_path / "both.pem",
        parameters,
        traditional,
        (tmp_path / "web.pem").read_bytes().replace(b"\n", b"\r\n"),
    )
    now = Path(both).stat().st_mtime + 60
    for certificate, key in (("web.pem", "key.pem"), ("both.pem", "both.pem")):
        found = read_pair(str(tmp_path / certificate), str(tmp_path / key), now)
        assert found.problems == ()
        assert found.chain[0].names == ("DNS:web",)


@pytest.mark.parametrize("kind", ["rsa", "ec384", "ed25519"])
def test_every_usual_kind_of_key_is_taken(tmp_path: Path, root: Made, kind: str) -> None:
    private = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ec384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }[kind]()
    made = make("web", root, names=WEB, private=private)
    found = pair(tmp_path, made, key=made)
    assert found.problems == ()
    assert found.chain[0].key == {"rsa": "RSA 2048", "ec384": "EC P-384", "ed25519": "Ed25519"}[kind]


# -- files that cannot be read --------------------------------------------------------------------------


def test_missing_files_are_both_told(tmp_path: Path) -> None:
    found = read_pair(str(tmp_path / "none.pem"), str(tmp_path / "none.key"), NOW)
    assert errors(found) == ["unreadable", "unreadable"]
    assert f"{tmp_path}/none.pem: the certificate cannot be read: No such file or directory" in texts(found)
    assert f"{tmp_path}/none.key: the key cannot be read" in texts(found)


def test_a_directory_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = read_pair(str(tmp_path), str(tmp_path / "pipe"), NOW)
    assert errors(found) == ["unreadable", "unreadable"]
    assert "not in a regular file" in texts(found)


def test_a_file_without_end_is_refused(tmp_path: Path, leaf: Made) -> None:
    found = pair(tmp_path, leaf, b"#" * (1 << 20), key=leaf)
    assert errors(found) == ["too-large"]


def test_a_thousand_certificates_are_refused(tmp_path: Path, leaf: Made) -> None:
    found = read_bundle(write(tmp_path / "ca.pem", *[leaf] * 501), NOW)
    assert "too-large" in errors(found)
    assert len(found.members) == 500


@pytest.mark.parametrize(
    ("certificate", "hint"),
    [
        (b"", "is empty"),
        (b"\x30\x82\x01\x00", "openssl x509 -inform DER"),
        (b"hello", "-----BEGIN CERTIFICATE-----"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "It has: PUBLIC KEY"),
    ],
)
def test_what_is_no_certificate_is_told_with_what_to_do(
    tmp_path: Path, leaf: Made, certificate: bytes, hint: str
) -> None:
    found = pair(tmp_path, certificate, key=leaf)
    assert errors(found) == ["malformed"]
    assert hint in texts(found)


def test_damage_is_told_with_its_line(tmp_path: Path, leaf: Made, middle: Made) -> None:
    damaged = bytearray(middle.pem)
    damaged[100:104] = b"!!!!"
    found = pair(tmp_path, leaf, bytes(damaged), key=leaf)
    assert errors(found) == ["malformed"]
    line = leaf.pem.count(b"\n") + 1
    assert f"certificate 2 (line {line}) is damaged" in texts(found)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_half_a_certificate_is_told(tmp_path: Path, leaf: Made, middle: Made, share: float) -> None:
    part = middle.pem[: int(len(middle.pem) * share)]
    found = pair(tmp_path, leaf, part, key=leaf)
    assert errors(found) == ["malformed"]
    assert "END line is missing" in texts(found)
    cut = pair(tmp_path, part, leaf, key=leaf)
    assert errors(cut)[0] == "malformed"


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_half_a_key_is_told_and_never_shown(tmp_path: Path, leaf: Made, share: float) -> None:
    found = pair(tmp_path, leaf, key=leaf.key_pem[: int(len(leaf.key_pem) * share)])
    assert errors(found) == ["malformed"]
    assert "the key (line 1) is not whole" in texts(found)
    assert leaf.key_pem[40:60].decode() not in texts(found)


def test_a_damaged_and_an_encrypted_key_are_told(tmp_path: Path, leaf: Made) -> None:
    lines = leaf.key_pem.splitlines()
    damaged = b"\n".join([lines[0], b"AAAA" + lines[1][4:], *lines[2:]])
    assert "the key (line 1) is damaged" in texts(pair(tmp_path, leaf, key=damaged))
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        locked = leaf.private.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret"))
        found = pair(tmp_path, leaf, key=locked)
        assert errors(found) == ["encrypted-key"]
        assert "openssl pkey" in texts(found)


def test_the_two_files_the_wrong_way_round(tmp_path: Path, leaf: Made) -> None:
    found = pair(tmp_path, leaf.key_pem, key=leaf.pem)
    assert errors(found) == ["malformed", "malformed"]
    assert "It has: PRIVATE KEY. Is it the right file?" in texts(found)
    assert "It has: CERTIFICATE. Is it the right file?" in texts(found)


# -- the pair -------------------------------------------------------------------------------------------


def test_another_key_does_not_fit(tmp_path: Path, leaf: Made, middle: Made) -> None:
    found = pair(tmp_path, leaf, middle, key=make("other"))
    assert errors(found) == ["key-mismatch"]
    assert "the key is not that of web.example" in texts(found)


def test_a_chain_in_the_wrong_order_is_told(tmp_path: Path, root: Made, leaf: Made, middle: Made) -> None:
    found = pair(tmp_path, middle, leaf, key=leaf)
    assert {"chain-order", "key-mismatch"} == set(errors(found))
    assert "It is that of certificate 2, web.example: put that first." in texts(found)
    found = pair(tmp_path, leaf, root, middle, key=leaf)
    assert "Its issuer is certificate 3: put that next." in texts(found)


def test_a_stranger_in_the_chain_is_told(tmp_path: Path, leaf: Made, middle: Made) -> None:
    stranger = make("middle", make("another root", ca=True), ca=True)
    found = pair(tmp_path, leaf, stranger, key=leaf)
    assert errors(found) == ["chain-order"]
    assert "certificate 1 (web.example) is not signed by certificate 2 (CN=middle)" in texts(found)


@pytest.mark.parametrize(
    ("begins", "ends", "error", "warning"),
    [
        (-DAY, DAY, [], []),
        (-3 * DAY, DAY, [], ["expires-soon"]),
        (-2.01 * DAY, DAY, [], ["expires-soon"]),
        (-1.99 * DAY, DAY, [], []),
        (-300 * DAY, 31 * DAY, [], []),
        (-300 * DAY, 29 * DAY, [], ["expires-soon"]),
        (-2 * DAY, 0, ["expired"], []),
        (-2 * DAY, -1, ["expired"], []),
        (1, DAY, ["not-yet-valid"], []),
        (0, DAY, [], []),
    ],
)
def test_time_counts(
    tmp_path: Path, root: Made, begins: float, ends: float, error: list[str], warning: list[str]
) -> None:
    made = make("web", root, names=WEB, begins=NOW + begins, ends=NOW + ends)
    found = pair(tmp_path, made, key=made)
    assert (errors(found), warnings(found)) == (error, warning)


def test_an_intermediate_that_has_expired_is_an_error(tmp_path: Path, root: Made) -> None:
    old = make("old", root, ca=True, begins=NOW - 9 * DAY, ends=NOW - DAY)
    made = make("web", old, names=WEB)
    found = pair(tmp_path, made, old, key=made)
    assert errors(found) == ["expired"]
    assert "CN=old has expired 24 hours ago, at 2027-01-14 08:00:00 UTC. Have it issued anew." in texts(found)


@pytest.mark.parametrize(
    ("more", "error", "warning"),
    [
        ({"names": ()}, [], ["no-names"]),
        ({"ca": True}, [], ["leaf-is-ca"]),
        ({"names": ("URI:spiffe://Example.org/web",)}, [], ["not-an-svid"]),
        ({"names": ("URI:spiffe://example.org",)}, [], ["not-an-svid"]),
        ({"names": (SVID, "URI:https://web.example")}, [], ["not-an-svid"]),
        ({"names": (SVID, "DNS:web.example")}, [], []),
        ({"names": ("URI:https://a.example", "URI:https://b.example")}, [], []),
        ({"usage": ("key_encipherment",)}, ["wrong-purpose"], []),
        ({"usage": ("digital_signature",)}, [], []),
        ({"extended": (CLIENT,)}, ["wrong-purpose"], []),
        ({"extended": (SERVER,)}, [], []),
        ({"extended": (CLIENT, SERVER)}, [], []),
    ],
)
def test_what_peers_would_refuse_is_told(
    tmp_path: Path, root: Made, more: dict[str, object], error: list[str], warning: list[str]
) -> None:
    made = make("web", root, **{"names": WEB} | more)  # type: ignore[arg-type]
    found = pair(tmp_path, made, key=made, purpose="server")
    assert (errors(found), warnings(found)) == (error, warning)


def test_purpose_is_of_the_side(tmp_path: Path, root: Made) -> None:
    made = make("web", root, names=WEB, extended=(SERVER,))
    assert errors(pair(tmp_path, made, key=made, purpose="client")) == ["wrong-purpose"]
    assert errors(pair(tmp_path, made, key=made)) == []


def test_weak_keys_and_signatures_are_errors(tmp_path: Path, root: Made) -> None:
    weak = make("web", root, names=WEB, private=rsa.generate_private_key(65537, 1024))
    assert errors(pair(tmp_path, weak, key=weak)) == ["weak-key"]
    odd = make("web", root, names=WEB, private=ec.generate_private_key(ec.SECP256K1()))
    assert errors(pair(tmp_path, odd, key=odd)) == ["unsupported-key"]
    dead = make("web", root, names=WEB, private=dsa.generate_private_key(2048))
    assert errors(pair(tmp_path, dead, key=dead)) == ["unsupported-key"]


def test_a_broken_hash_is_an_error_but_for_a_root(
    tmp_path: Path, root: Made, program: Callable[[str], str]
) -> None:
    write(tmp_path / "ca.pem", root)
    write(tmp_path / "ca.key", root.key_pem)
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha1"]
    words += ["-subj", "/CN=web", "-addext", "subjectAltName=DNS:web", "-keyout", "key.pem"]
    leaf = ["-addext", "basicConstraints=critical,CA:FALSE", "-CA", "ca.pem", "-CAkey", "ca.key"]
    for more in (["-out", "root.pem"], [*leaf, "-out", "web.pem"]):
        subprocess.run([program("openssl"), *words, *more], cwd=tmp_path, capture_output=True, check=True)
    write(tmp_path / "chain.pem", (tmp_path / "web.pem").read_bytes(), root)
    found = read_pair(str(tmp_path / "chain.pem"), str(tmp_path / "key.pem"), NOW)
    assert errors(found) == ["weak-signature", "expired"]
    assert errors(read_bundle(str(tmp_path / "root.pem"), time.time())) == []


# -- what others may read -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o644, True), (0o602, True)]
)
def test_a_key_that_others_may_read_is_a_warning(tmp_path: Path, leaf: Made, mode: int, warned: bool) -> None:
    certificate = write(tmp_path / "web.pem", leaf, mode=0o644)
    key = write(tmp_path / "web.key", leaf.key_pem, mode=mode)
    (tmp_path / "link.key").symlink_to("web.key")  # what counts is the file, not the link
    for path in (key, str(tmp_path / "link.key")):
        found = read_pair(certificate, path, NOW)
        assert warnings(found) == ["key-permissions"] * warned
        assert (f"chmod 600 {path}" in texts(found)) == warned


def test_a_key_among_certificates_is_a_warning(tmp_path: Path, leaf: Made, root: Made) -> None:
    found = pair(tmp_path, leaf, leaf.key_pem, key=leaf)
    assert (errors(found), warnings(found)) == ([], ["key-in-certificate"])
    assert b"PRIVATE" not in found.certificate_pem
    bundle = read_bundle(write(tmp_path / "ca.pem", root, root.key_pem), NOW)
    assert (errors(bundle), warnings(bundle)) == ([], ["key-in-certificate"])
    assert b"PRIVATE" not in bundle.pem


def test_no_secret_is_shown(tmp_path: Path, leaf: Made) -> None:
    found = pair(tmp_path, leaf, key=leaf)
    secret = leaf.key_pem.splitlines()[1].decode()
    assert secret in found.key_pem.decode()
    assert secret not in repr(found)
    assert "PRIVATE" not in repr(found)


# -- bundles --------------------------------------------------------------------------------------------


def test_a_good_bundle_has_no_problems(tmp_path: Path, root: Made, middle: Made) -> None:
    found = read_bundle(write(tmp_path / "ca.pem", root, middle), NOW)
    assert found.problems == ()
    assert [member.subject for member in found.members] == ["CN=root", "CN=middle"]
    assert found.pem == root.pem + middle.pem


def test_an_old_root_may_expire_beside_a_new_one(tmp_path: Path, root: Made) -> None:
    old = make("old", ca=True, begins=NOW - 9 * DAY, ends=NOW - DAY)
    both = read_bundle(write(tmp_path / "ca.pem", old, root), NOW)
    assert (errors(both), warnings(both)) == ([], ["expired"])
    alone = read_bundle(write(tmp_path / "ca.pem", old), NOW)
    assert errors(alone) == ["expired"]


@pytest.mark.parametrize("more", [{"ca": False}, {"ca": None}, {"ca": True, "usage": ("digital_signature",)}])
def test_who_is_no_ca_vouches_for_nothing(tmp_path: Path, root: Made, more: dict[str, object]) -> None:
    found = read_bundle(write(tmp_path / "ca.pem", root, make("web", **more)), NOW)  # type: ignore[arg-type]
    assert errors(found) == ["not-a-ca"]


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_bundle_of_nothing_is_refused(tmp_path: Path, content: bytes) -> None:
    assert errors(read_bundle(write(tmp_path / "ca.pem", content), NOW)) == ["malformed"]


# -- what has changed -----------------------------------------------------------------------------------


def test_the_digest_tells_whether_something_has_changed(tmp_path: Path, leaf: Made, middle: Made) -> None:
    first = pair(tmp_path, leaf, middle, key=leaf)
    again = pair(tmp_path, b"# a comment\n", leaf, middle, key=leaf)
    other = pair(tmp_path, leaf, key=leaf)
    assert first.digest == again.digest != other.digest


def test_the_stamps_are_those_of_what_was_read(tmp_path: Path, leaf: Made) -> None:
    found = pair(tmp_path, leaf, key=leaf)
    files = [str(tmp_path / "web.pem"), str(tmp_path / "web.key")]
    assert found.stamps == {file: stamp(file) for file in files}
    write(tmp_path / "new", leaf.key_pem)
    (tmp_path / "new").replace(tmp_path / "web.key")
    assert [file for file in files if stamp(file) != found.stamps[file]] == [str(tmp_path / "web.key")]
    none = str(tmp_path / "none")
    assert read_bundle(none, NOW).stamps == {none: ""}
