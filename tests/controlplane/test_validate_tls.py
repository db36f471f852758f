"""What is wrong with TLS in a configuration: each error with its code, its path, and what would be right."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests._fast.flow.papers import Papers
from tulle.controlplane.compile import compile_config
from tulle.controlplane.load import Document, load_document
from tulle.controlplane.problems import ConfigError, Problem

LISTENER, CLUSTER = "listeners[0].tls", "clusters.c.tls"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    made = Papers(tmp_path_factory.mktemp("papers"))
    made.issue("one", "DNS:one.example")
    made.issue("two", "DNS:two.example")
    return made


def document(papers: Papers, listener: dict[str, Any], cluster: dict[str, Any]) -> dict[str, Any]:
    """A right config with these keys of the two sections changed; None takes a key out."""
    folder = papers.folder
    sections = [
        {"certificate": str(folder / "one.crt"), "key": str(folder / "one.key")} | listener,
        {"ca": papers.ca, "sni": "a.example"} | cluster,
    ]
    server, client = ({key: value for key, value in one.items() if value is not None} for one in sections)
    return {
        "listeners": [
            {"name": "web", "address": "127.0.0.1:0", "backends": [{"cluster": "c"}], "tls": server}
        ],
        "clusters": {"c": {"endpoints": [{"address": "127.0.0.1:1"}], "tls": client}},
    }


def errors(data: dict[str, Any]) -> list[Problem]:
    try:
        load_document(Document(msgspec.json.encode(data), "json"))
    except ConfigError as error:
        return error.problems
    return []


def told(data: dict[str, Any]) -> set[tuple[str, str]]:
    return {(problem.code, problem.path) for problem in errors(data)}


def test_a_right_one(papers: Papers) -> None:
    assert errors(document(papers, {}, {})) == []


@pytest.mark.parametrize(
    ("listener", "code", "place"),
    [
        ({"certificate": "/nowhere"}, "unreadable", ".certificate"),
        ({"key": "/nowhere"}, "unreadable", ".key"),
        ({"client_ca": "/nowhere"}, "unreadable", ".client_ca"),
        ({"require_client_certificate": True}, "combination", ".require_client_certificate"),
        ({"alpn": ["h3"]}, "structure", ".alpn[0]"),
        ({"ciphers": ["ECDHE-RSA-AES128-SHA256"]}, "cipher", ".ciphers[0]"),
        ({"ciphers": ["TLS_NULL_SHA256"]}, "cipher", ".ciphers[0]"),
        ({"ciphers": ["AES128-SHA"]}, "cipher", ".ciphers[0]"),
        ({"handshake_timeout": "0s"}, "duration", ".handshake_timeout"),
        ({"min_version": "1.1"}, "structure", ".min_version"),
    ],
)
def test_listeners(papers: Papers, listener: dict[str, Any], code: str, place: str) -> None:
    found = told(document(papers, listener, {}))
    assert {path for _, path in found} == {LISTENER + place}
    assert code in {found_code for found_code, _ in found} or place == ".handshake_timeout"


@pytest.mark.parametrize(
    ("cluster", "code", "place"),
    [
        ({"ca": "/nowhere"}, "unreadable", ".ca"),
        ({"sni": None}, "missing-key", ""),
        ({"sni": "a b"}, "hostname", ".sni"),
        ({"sni": "*.example.com"}, "hostname", ".sni"),
        ({"certificate": "/x"}, "combination", ""),
        ({"verify": {"uri": ["shop"]}}, "uri", ".verify.uri[0]"),
        ({"verify": {"dns": ["a..b"]}}, "hostname", ".verify.dns[0]"),
    ],
)
def test_clusters(papers: Papers, cluster: dict[str, Any], code: str, place: str) -> None:
    assert told(document(papers, {}, cluster)) == {(code, CLUSTER + place)}


def test_raw_tcp_agrees_on_no_protocol(papers: Papers) -> None:
    config = document(papers, {"client_ca": papers.ca}, {})
    config["listeners"][0]["protocol"] = "tcp"
    assert errors(config) == []
    config["listeners"][0]["tls"]["alpn"] = ["h2"]
    assert told(config) == {("combination", f"{LISTENER}.alpn")}


@pytest.mark.parametrize("alpn", [["h2"], ["http/1.1"], ["http/1.1", "h2"]])
@pytest.mark.parametrize("protocol", ["http1", "http2", "auto"])
def test_what_is_offered_is_what_is_spoken(papers: Papers, protocol: str, alpn: list[str]) -> None:
    config = document(papers, {}, {"alpn": alpn})
    config["clusters"]["c"]["protocol"] = protocol
    spoken = {"http1": ["http/1.1"], "http2": ["h2"], "auto": ["http/1.1", "h2"]}[protocol]
    assert told(config) == (set() if spoken == alpn else {("contradiction", f"{CLUSTER}.alpn")})


def test_old_ciphers_are_for_old_protocols(papers: Papers) -> None:
    old: dict[str, Any] = {"ciphers": ["ECDHE-RSA-AES128-SHA256"]}
    config = document(papers, {**old, "alpn": ["http/1.1"]}, old)
    assert errors(config) == []
    config["clusters"]["c"]["protocol"] = "auto"
    assert told(config) == {("cipher", f"{CLUSTER}.ciphers[0]")}


def test_nobody_can_choose_without_tls(papers: Papers) -> None:
    config = document(papers, {}, {})
    config["clusters"]["c"] |= {"protocol": "auto", "tls": None}
    assert told(config) == {("combination", "clusters.c.protocol")}


def test_a_key_of_another_certificate(papers: Papers) -> None:
    key = str(papers.folder / "two.key")
    found = errors(document(papers, {"key": key}, {}))
    assert [problem.path for problem in found] == [f"{LISTENER}.key"]
    assert "is not that of" in found[0].message
    further = [{"certificate": str(papers.folder / "one.crt"), "key": key}]
    found = errors(document(papers, {"certificates": further}, {}))
    assert [problem.path for problem in found] == [f"{LISTENER}.certificates[0].key"]


def test_keys_are_in_the_material_and_nowhere_else(papers: Papers, tmp_path: Path) -> None:
    file = tmp_path / "tulle.json"
    file.write_bytes(msgspec.json.encode(document(papers, {"client_ca": papers.ca}, {})))
    result, routes, endpoints, tls = compile_config(file, None, 1)
    assert result.ok
    secret = (papers.folder / "one.key").read_bytes().splitlines()[1]
    contents = {}
    for name, descriptor in (("routes", routes), ("endpoints", endpoints), ("tls", tls)):
        with open(descriptor, "rb") as segment:  # noqa: PTH123
            segment.seek(0)
            contents[name] = segment.read()
    assert secret in contents["tls"]
    for content in (contents["routes"], contents["endpoints"], result.table, result.names):
        assert secret not in content
    assert secret not in msgspec.json.encode(result.settings)


@pytest.mark.parametrize("mode", ["forward_only", "append_forward", "sanitize_set"])
def test_who_has_no_certificate_cannot_be_told_of(papers: Papers, mode: str) -> None:
    data = document(papers, {}, {})
    data["listeners"][0]["forward_client_cert_details"] = mode
    assert told(data) == {("combination", "listeners[0].forward_client_cert_details")}
    data["listeners"][0]["tls"]["client_ca"] = papers.ca
    assert told(data) == set()
    del data["listeners"][0]["tls"]
    assert told(data) == {("combination", "listeners[0].forward_client_cert_details")}
    data["listeners"][0]["forward_client_cert_details"] = "always_forward_only"
    assert told(data) == set()
