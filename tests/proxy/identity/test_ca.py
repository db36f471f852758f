"""`tulle ca`: paths on stdout, and what to do on stderr."""

import io
import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tulle.proxy import cli

WEB = "spiffe://shop.example/ns/default/sa/web"


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Ca = Callable[..., Done]


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ca:
    """Runs the command in a directory of the test's own."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, given: bytes = b"") -> Done:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        capsys.readouterr()
        try:
            status = cli.main(["ca", *words])
        except SystemExit as end:
            status = int(end.code or 0)
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture
def folder(ca: Ca, tmp_path: Path) -> Path:
    """With a CA in `ca`."""
    done = ca("init", "ca", "--trust-domain", "shop.example")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if not (tmp_path / line).is_file()] == []
    assert done.stderr == f"tulle: the CA of shop.example is made; next: tulle ca issue ca {WEB}\n"
    return tmp_path


@pytest.mark.parametrize("command", ["init", "issue", "rotate", "show"])
def test_every_command_has_help_with_examples(ca: Ca, command: str) -> None:
    done = ca(command, "--help")
    assert done.returncode == 0
    assert done.stdout.count(f"tulle ca {command} ") >= 3
    assert command in ca("--help").stdout


def test_a_certificate_is_issued_and_verified(ca: Ca, folder: Path, program: Callable[[str], str]) -> None:
    done = ca("issue", "ca", WEB, "--out", "out/here", "--dns", "web.shop.example")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["out/here/bundle.pem", "out/here/web.key", "out/here/web.pem"]
    assert done.stderr.startswith(f"tulle: {WEB} until 20")
    out = folder / "out" / "here"
    assert stat.S_IMODE((out / "web.key").stat().st_mode) == 0o600
    openssl = program("openssl")
    words = ["verify", "-x509_strict", "-CAfile", "bundle.pem", "-untrusted", "web.pem"]
    words += ["-verify_hostname", "web.shop.example", "web.pem"]
    subprocess.run([openssl, *words], cwd=out, check=True, capture_output=True)
    public = [
        subprocess.run([openssl, *words], cwd=out, check=True, capture_output=True).stdout
        for words in (["pkey", "-in", "web.key", "-pubout"], ["x509", "-in", "web.pem", "-noout", "-pubkey"])
    ]
    assert public[0] == public[1]


def test_who_has_a_key_keeps_it(ca: Ca, folder: Path, program: Callable[[str], str]) -> None:
    words = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    words += ["-subj", "/", "-keyout", "mine.key", "-out", "mine.csr"]
    subprocess.run([program("openssl"), *words], cwd=folder, check=True, capture_output=True)
    request = (folder / "mine.csr").read_bytes()
    for source, given in (("mine.csr", b""), ("-", request)):
        done = ca("issue", "ca", "/ns/default/sa/web", "--csr", source, "--out", "out", given=given)
        assert done.stdout.splitlines() == ["out/web.pem"]
    done = ca("issue", "ca", WEB, "--csr", "none.csr")
    assert (done.returncode, done.stdout) == (1, "")
    assert "none.csr: cannot be read: No such file" in done.stderr


def test_it_is_issued_when_it_is_due(ca: Ca, folder: Path) -> None:
    words = ("issue", "ca", WEB, "--out", "out", "--if-due", "--life")
    assert "out/web.pem" in ca(*words, "1h").stdout
    done = ca(*words, "1h")
    assert (done.returncode, done.stdout) == (0, "")
    assert "is not due before" in done.stderr
    other = ca(*words, "1h", "--name", "web", "--dns", "web.shop.example", "--key", "ed25519")
    assert other.stdout == ""
    # a certificate of another identity is no reason to wait
    done = ca("issue", "ca", "/ns/default/sa/cart", "--out", "out", "--name", "web", "--if-due")
    assert "out/web.pem" in done.stdout
    # and a bundle that has changed is brought, whether or not the certificate is due
    ca("rotate", "ca", "--root", "add")
    done = ca("issue", "ca", "/ns/default/sa/cart", "--out", "out", "--name", "web", "--if-due")
    assert done.stdout.splitlines() == ["out/bundle.pem"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("issue", "none", WEB), "none: cannot be read: No such file or directory"),
        (("issue", ".", WEB), "make one: tulle ca init ."),
        (("issue", "ca", "web"), "'web' is no SPIFFE id"),
        (("issue", "ca", "/"), "empty segment"),
        (("issue", "ca", "spiffe://other.example/web"), "write spiffe://shop.example/web"),
        (("issue", "ca", WEB, "--name", "a/b"), "is no name of a file"),
        (("issue", "ca", WEB, "--life", "31d"), "30 days at most"),
        (("issue", "ca", WEB, "--out", "ca/ca.json"), "ca/ca.json: cannot be made"),
        (("issue", "ca", WEB, "--csr", "ca/ca.json"), "no certificate signing request"),
        (("init", "ca", "--trust-domain", "shop.example"), "already"),
        (("init", "other", "--trust-domain", "Shop"), "may not be in a trust domain"),
        (("rotate", "ca", "--root", "use"), "tulle ca rotate ca --root add"),
        (("show", "none.pem"), "none.pem: the certificate cannot be read"),
        (("show", "ca/ca.json"), "there is no certificate in PEM form in it"),
    ],
)
def test_what_is_refused_is_said_and_changes_nothing(
    ca: Ca, folder: Path, words: tuple[str, ...], said: str
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = ca(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert all(line.startswith("tulle: ") for line in done.stderr.splitlines())
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_root_gives_way_to_another(ca: Ca, folder: Path) -> None:
    done = ca("rotate", "ca")
    assert done.stdout.splitlines() == ["ca/intermediate-2.key", "ca/intermediate-2.pem", "ca/ca.json"]
    done = ca("rotate", "ca", "--root", "add")
    assert "--root use" in done.stderr
    done = ca("rotate", "ca", "--root", "use")
    assert "in 30 days: tulle ca rotate ca --root drop" in done.stderr
    assert ca("rotate", "ca", "--root", "drop").returncode == 1
    assert ca("rotate", "ca", "--root", "drop", "--force").returncode == 0
    shown = json.loads(ca("show", "ca", "--format", "json").stdout)["certificates"]
    assert [(one["role"], one["file"]) for one in shown] == [
        ("signing root", "ca/root-2.pem"),
        ("intermediate", "ca/intermediate-3.pem"),
    ]


def test_certificates_are_shown_and_keys_are_not(ca: Ca, folder: Path) -> None:
    ca("issue", "ca", WEB, "--out", "out", "--life", "2s")
    text = ca("show", "out/web.pem").stdout
    for line in (
        "file: out/web.pem",
        f"- URI:{WEB}",
        "key: EC P-256",
        "is_ca: no",
        "sha256: ",
        "not_after: ",
    ):
        assert line in text
    shown = json.loads(ca("show", "out/web.pem", "--format", "json").stdout)["certificates"]
    assert [one["names"] for one in shown] == [[f"URI:{WEB}"], ["URI:spiffe://shop.example"]]
    done = ca("show", "out/web.key")
    assert (done.returncode, done.stdout) == (1, "")
    assert "It has: PRIVATE KEY" in done.stderr
    secret = (folder / "out" / "web.key").read_text().splitlines()[1]
    assert secret not in done.stderr + text
