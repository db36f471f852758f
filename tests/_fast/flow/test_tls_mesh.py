"""Two sidecars with mutual TLS between them: client, plain, A, TLS, B, plain, backend."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.crowd import Server, check_all_answered, crowd, lasting_crowd
from tests._fast.flow.mesh import Mesh, get
from tests._fast.flow.papers import CLIENT_ID, Papers
from tests._fast.flow.sidecar import Sidecar, until

Program = Callable[[str], str]


@pytest.fixture
def backend() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def mesh(tmp_path: Path, backend: Server) -> Iterator[Mesh]:
    made = Mesh(tmp_path, backend.address)
    yield made
    made.close()


def test_a_request_through_the_pair(mesh: Mesh, backend: Server) -> None:
    with crowd(mesh.a.connect, 8, lambda index: iter([get(f"/{index}")] * 20)) as clients:
        pass
    for index, client in enumerate(clients):
        assert client.broken == []
        assert [answer.body for answer in client.answers] == [f"/{index}".encode()] * 20
    assert 1 <= mesh.b.total("tls_downstream_handshakes") <= 8
    until(lambda: mesh.folder.joinpath("b/access.log").read_text().count("\n") == 160, "the log is written")
    lines = [json.loads(line) for line in mesh.folder.joinpath("b/access.log").read_text().splitlines()]
    assert {line["principal"] for line in lines} == {CLIENT_ID}


def test_the_library_of_the_system_does_as_well(tmp_path: Path, backend: Server) -> None:
    mesh = Mesh(tmp_path, backend.address, "system")
    try:
        with crowd(mesh.a.connect, 4, lambda index: iter([get(f"/{index}")] * 20)) as clients:
            pass
        assert [answer.status for client in clients for answer in client.answers] == [200] * 80
        maps = Path(f"/proc/{mesh.b.workers()[0]}/maps").read_text()
        assert "libssl.so.3" in maps
        assert "cryptography" not in maps, "both libraries are in one worker"
    finally:
        mesh.close()


def test_another_library_takes_a_restart(mesh: Mesh) -> None:
    refusals = mesh.b.words().count("takes a restart")
    mesh.b.write({**mesh.inner, "tls": {"library": "system"}})
    mesh.b.process.send_signal(signal.SIGHUP)
    until(lambda: mesh.b.words().count("takes a restart") > refusals, "the reload is refused")
    with crowd(mesh.a.connect, 1, lambda index: iter([get("/still")])) as clients:
        pass
    assert [answer.status for answer in clients[0].answers] == [200]


def test_certificates_change_under_load_and_no_request_fails(mesh: Mesh) -> None:
    def sent(index: int) -> bytes:
        return get(f"/{index}")

    with (
        lasting_crowd(mesh.a.connect, 4, sent) as kept,
        lasting_crowd(mesh.a.connect, 2, sent, fresh=True) as fresh,
    ):
        for _ in range(4):
            mesh.issue()
            mesh.b.reload(mesh.inner)
            mesh.a.reload(mesh.outer)
    check_all_answered([*kept, *fresh])


def test_a_pair_that_does_not_fit_is_refused_and_the_old_one_goes_on(mesh: Mesh) -> None:
    key = mesh.folder / "stock.key"
    key.write_bytes((mesh.folder / "cart.key").read_bytes())
    refusals = mesh.b.words().count("is not that of")
    mesh.b.process.send_signal(signal.SIGHUP)
    until(lambda: mesh.b.words().count("is not that of") > refusals, "the reload is refused")
    with crowd(mesh.a.connect, 1, lambda index: iter([get("/still")])) as clients:
        pass
    assert [answer.status for answer in clients[0].answers] == [200]


def test_a_root_that_is_removed_is_believed_no_longer(mesh: Mesh, tmp_path: Path) -> None:
    """Not even by way of a session that was made while it was."""
    with crowd(mesh.a.connect, 1, lambda index: iter([get("/before")])) as clients:
        pass
    assert [answer.status for answer in clients[0].answers] == [200]
    folder = tmp_path / "new"
    folder.mkdir()
    other = Papers(folder, "other")
    inner = json.loads(json.dumps(mesh.inner))
    inner["listeners"][0]["tls"]["client_ca"] = other.ca
    mesh.b.reload(inner)
    # The pool of A has connections of before: a fresh one shows what is believed now
    outer = json.loads(json.dumps(mesh.outer))
    outer["clusters"] = {"again": outer["clusters"]["stock"]}
    outer["routes"] = {"main": [{"name": "all", "backends": [{"cluster": "again"}]}]}
    mesh.a.reload(outer)
    with crowd(mesh.a.connect, 1, lambda index: iter([get("/after")])) as clients:
        pass
    assert [answer.status for answer in clients[0].answers] == [503]


def test_a_cluster_that_becomes_tls_leaves_its_plain_connections(tmp_path: Path, backend: Server) -> None:
    papers = Papers(tmp_path)
    folder = tmp_path / "sidecar"
    folder.mkdir()
    cluster: dict[str, Any] = {"endpoints": [{"address": backend.address}]}
    config: dict[str, Any] = {
        "workers": 1,
        "listeners": [{"name": "l", "address": "127.0.0.1:0", "backends": [{"cluster": "c"}]}],
        "clusters": {"c": cluster},
    }
    sidecar = Sidecar(config, folder)
    try:
        with crowd(sidecar.connect, 1, lambda index: iter([get("/plain")])) as clients:
            pass
        assert [answer.status for answer in clients[0].answers] == [200]
        tls = {"ca": papers.ca, "sni": "a.example"}
        sidecar.reload({**config, "clusters": {"c": {**cluster, "tls": tls, "connect_timeout": "1s"}}})
        with crowd(sidecar.connect, 1, lambda index: iter([get("/secret")])) as clients:
            pass
        assert [answer.status for answer in clients[0].answers] == [503]
        assert backend.seen[b"/secret"] == 0
    finally:
        sidecar.stop()


def test_curl_over_tls(mesh: Mesh, program: Program) -> None:
    port = mesh.b.ports["127.0.0.1"]
    command = [
        program("curl"), "-sS", "--insecure", "--cert", str(mesh.folder / "cart.crt"), "--key",
        str(mesh.folder / "cart.key"), f"https://127.0.0.1:{port}/curl",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("/curl", "")


def test_openssl_finds_a_session_to_resume(mesh: Mesh, program: Program, tmp_path: Path) -> None:
    port = mesh.b.ports["127.0.0.1"]
    session = tmp_path / "session"
    common = [
        program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", mesh.papers.ca,
        "-cert", str(mesh.folder / "cart.crt"), "-key", str(mesh.folder / "cart.key"), "-ign_eof",
    ]  # fmt: skip
    asked = get("/openssl").replace(b"host", b"connection: close\r\nhost")
    for options in (["-sess_out", str(session)], ["-sess_in", str(session)]):
        done = subprocess.run([*common, *options], input=asked, capture_output=True, timeout=30, check=False)
        assert b"/openssl" in done.stdout
        assert b"Verify return code: 0 (ok)" in done.stdout
    assert b"Reused" in done.stdout


def test_sslscan_has_no_objection(mesh: Mesh, program: Program) -> None:
    """Default settings: TLS 1.2 and 1.3 only, forward secrecy, no compression, no heartbeat."""
    port = mesh.b.ports["127.0.0.1"]
    command = [
        program("sslscan"), "--no-colour", "--certs=" + str(mesh.folder / "cart.crt"),
        "--pk=" + str(mesh.folder / "cart.key"), f"127.0.0.1:{port}",
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
    for version in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
        assert f"{version}" in found
        line = next(line for line in found.splitlines() if line.startswith(version))
        assert "disabled" in line
    assert "Session renegotiation not supported" in found or "Secure session renegotiation supported" in found
    assert "Compression enabled" not in found
    assert "vulnerable to heartbleed" not in found.replace("not vulnerable to heartbleed", "")
    ciphers = [line.split() for line in found.splitlines() if line.startswith(("Preferred", "Accepted"))]
    assert ciphers
    for words in ciphers:
        name = words[4]
        assert name.startswith(("TLS_", "ECDHE-")), name
        assert "GCM" in name or "CHACHA20" in name or "POLY1305" in name, name
