"""How exchanges end when an end is late, long, or not the one that was expected."""

import json
from pathlib import Path

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.peers import request, response
from tests._fast.flow.sidecar import until


def test_a_response_whose_first_chunk_is_bad_is_logged_with_its_fields(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    """The log wants a field of a response that was dropped again, with its buffer."""
    path = tmp_path / "access.log"
    lab = laboratory(
        access_log={"path": str(path), "format": "text", "format_string": "%RESPONSE_CODE% %RESP(x-long)%\n"}
    )
    fields = b"".join(b"x-%d: y\r\n" % index for index in range(60))
    bad = b"HTTP/1.1 200 OK\r\n" + fields + b"x-long: gone\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"
    _, got = lab.exchange(request(), bad)
    assert got.status == 502
    until(lambda: path.exists() and path.read_text() == "502 -\n", "the line is written")


def test_a_line_of_the_log_is_json_whatever_the_target(laboratory: Laboratory, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    lab = laboratory(access_log={"path": str(path), "format": "json"})
    long = "/" + "a" * 14000
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    for fields in ((), (b"user-agent: " + b"u" * 14000,), (b"user-agent: " + b'"' * 9000,)):
        lab.exchange(request("GET", long, *fields), chunked)
        lab.exchange(request("GET", long, *fields), response(b"x"))
    until(lambda: path.exists() and path.read_text().count("\n") == 6, "the lines are written")
    for line in path.read_text().splitlines():
        assert json.loads(line)["response_code"] == 200
