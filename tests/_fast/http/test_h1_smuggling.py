"""Messages that two parties are known to have read differently: none of them passes."""

import pytest

from tests._fast.http import codec
from tests._fast.http.codec import REQUEST, TRAILERS
from tests._fast.http.feeding import chunks, request, response

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
LENGTH = b"Content-Length: 4\r\n"
CODING = b"Transfer-Encoding: chunked\r\n"

HEADS = {
    "CL.TE": (LENGTH + CODING, "length and coding"),
    "TE.CL": (CODING + LENGTH, "length and coding"),
    "CL.CL": (LENGTH + b"Content-Length: 0\r\n", "bad content-length"),
    "CL twice in another case": (LENGTH + b"CONTENT-LENGTH: 4\r\n", "bad content-length"),
    "CL list": (b"Content-Length: 4, 0\r\n", "bad content-length"),
    "CL with a sign": (b"Content-Length: +4\r\n", "bad content-length"),
    "CL in octal or hex": (b"Content-Length: 0x4\r\n", "bad content-length"),
    "CL past 64 bits": (b"Content-Length: 18446744073709551620\r\n", "bad content-length"),
    "CL and an empty CL": (b"Content-Length:\r\n" + LENGTH, "bad content-length"),
    "CL before a space": (b"Content-Length : 4\r\n", "bad field name"),
    "CL with NUL in the name": (b"Content-Length\0: 4\r\n", "bad field name"),
    "CL with an underscore and CL": (b"Content_Length: 9\r\nContent-Length: 4,\r\n", "bad content-length"),
    "TE.TE": (CODING + b"Transfer-Encoding: cow\r\n", "bad transfer-encoding"),
    "TE list with identity": (b"Transfer-Encoding: chunked, identity\r\n", "bad transfer-encoding"),
    "TE identity": (b"Transfer-Encoding: identity\r\n" + LENGTH, "length and coding"),
    "TE before a space": (b"Transfer-Encoding : chunked\r\n", "bad field name"),
    "TE before a tab": (b"Transfer-Encoding\t: chunked\r\n", "bad field name"),
    "TE after a vertical tab": (b"Transfer-Encoding:\x0bchunked\r\n", "bad field value"),
    "TE with NUL": (b"Transfer-Encoding: chunked\0\r\n", "bad field value"),
    "TE in quotes": (b'Transfer-Encoding: "chunked"\r\n', "bad transfer-encoding"),
    "TE prefixed": (b"Transfer-Encoding: xchunked\r\n", "bad transfer-encoding"),
    "TE with a parameter": (b"Transfer-Encoding: chunked;a=b\r\n", "bad transfer-encoding"),
    "TE on a folded line": (b"Transfer-Encoding:\r\n chunked\r\n", "obs-fold"),
    "TE behind a folded line": (b"X: y\r\n Transfer-Encoding: chunked\r\n", "obs-fold"),
    "TE behind a bare CR": (b"X: y\rTransfer-Encoding: chunked\r\n", "bad line end"),
    "TE behind a bare LF": (b"X: y\nTransfer-Encoding: chunked\r\n", "bad line end"),
    "TE behind LF CR": (b"X: y\n\rTransfer-Encoding: chunked\r\n", "bad line end"),
    "TE dropped by Connection": (CODING + b"Connection: transfer-encoding\r\n", "bad connection"),
    "CL dropped by Connection": (LENGTH + b"Connection: close, content-length\r\n", "bad connection"),
    "Host dropped by Connection": (b"Connection: Host\r\n", "bad connection"),
    "two Hosts": (b"Host: b\r\n", "bad host"),
    "a line without a colon": (b"Transfer-Encoding\r\n", "bad field name"),
    "an empty name": (b": chunked\r\n", "bad field name"),
    "a first line that is folded": (b" Transfer-Encoding: chunked\r\n", "obs-fold"),
}


@pytest.mark.parametrize("name", HEADS)
def test_no_such_request(name: str) -> None:
    fields, error = HEADS[name]
    body = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    assert request(POST + fields + b"\r\n" + body)["result"] == error


@pytest.mark.parametrize("name", [name for name in HEADS if "Host" not in name])
def test_no_such_response(name: str) -> None:
    fields, error = HEADS[name]
    assert response(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n0\r\n\r\n")["result"] == error


def test_names_that_only_look_like_framing_do_not_frame() -> None:
    for name in (
        b"Content_Length",
        b"Content-Lengt",
        b"XContent-Length",
        b"Transfer_Encoding",
        b"Transfer-Encodin",
    ):
        answer = request(POST + name + b": 4\r\n\r\n")
        assert (answer["framing"], answer["fields"][1][2]) == ("none", 0)


@pytest.mark.parametrize(
    "body",
    [
        b"4\nabcd\n0\n\n",
        b"4\r\nabcd\n0\r\n\r\n",
        b"4\r\nabcde\r\n0\r\n\r\n",
        b"4;\nx\r\nabcd\r\n",
        b"4;\rx\r\nabcd\r\n",
        b'4;a="\n"\r\nabcd\r\n',
        b"4 \r\nabcd\r\n",
        b"\r\n4\r\nabcd\r\n",
        b"100000000000000004\r\nabcd\r\n",
        b"-4\r\nabcd\r\n",
        b"4\0\r\nabcd\r\n",
        b"4;" + b"x" * 5000 + b"\r\nabcd\r\n",
        b"0;" + b"x" * 5000 + b"\r\n\r\n",
    ],
)
def test_no_such_chunks(body: bytes) -> None:
    assert chunks(body)[0] == "error"


def test_a_body_ends_where_its_chunks_end() -> None:
    head = codec.parse(REQUEST, POST + CODING + b"\r\n")
    assert head["framing"] == "chunked"
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    result, body, consumed = codec.decode_chunks(b"0\r\n\r\n" + smuggled)
    assert (result, body, consumed) == ("last", b"", 3)
    assert codec.parse(TRAILERS, b"\r\n" + smuggled)["head_length"] == 2
