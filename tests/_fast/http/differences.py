"""Where our codec refuses what h11 takes, each with its reason, an example, and how to tell that it applies.

There is one difference the other way: an empty line before a request is passed over, as RFC 9112
section 2.2 asks, where h11 refuses it. It is no part of the message; h11 is given the message without it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests._fast.http.codec import REQUEST, RESPONSE
from tests._fast.http.reading import Message
from tests._fast.http.test_authority import expected as is_authority

CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
TARGET = re.compile(rb"/[^#]*|(?i:https?)://([^/?#]*)(?:[/?][^#]*)?")
OPTIONS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]*[ \t]*(?:,[ \t]*|$)){1,32}")


def values(message: Message, name: bytes) -> list[bytes]:
    return [value for field, value in message.fields if field.lower() == name]


def head(data: bytes) -> bytes:
    """Up to the empty line as h11 sees it."""
    return re.split(rb"\n\r?\n", data, maxsplit=1)[0] + b"\n"


def has_no_body(message: Message) -> bool:
    """Of CONNECT, 1xx and 204: messages that may have none whatever their fields say."""
    start = message.start[0]
    return start == b"CONNECT" or (isinstance(start, int) and (start < 200 or start == 204))


def bad_target(message: Message, data: bytes) -> bool:
    method, target = message.start
    if method == b"CONNECT":
        return not is_authority(target, True)
    match = TARGET.fullmatch(target)
    if match is None:
        return bool(target != b"*" or method != b"OPTIONS")
    return match[1] is not None and not is_authority(match[1])


def odd_length(message: Message, data: bytes) -> bool:
    lengths = re.findall(rb"\n(?i:content-length):[ \t]*(.*?)[ \t]*\r?(?=\n)", head(data))
    listed = len(lengths) != 1 or b"," in lengths[0]
    return listed or len(lengths[0]) > 18 or (has_no_body(message) and int(lengths[0]) != 0)


def odd_chunk(message: Message, data: bytes) -> bool:
    """A size line with white space after the size, a control, a huge size, or more than 512 bytes."""
    body = re.split(rb"\n\r?\n", data, maxsplit=1)[1]
    while True:
        line, _, body = body.partition(b"\r\n")
        size = int(re.split(rb"[; \t]", line)[0], 16)
        if re.search(rb"^[0-9A-Fa-f]+[ \t]", line) or CONTROL.search(line) or re.search(rb"[\0\r\n]", line):
            return True
        if len(line) + 2 > 512 or size >= 2**63:
            return True
        if size == 0:
            return False
        body = body[size + 2 :]


def odd_trailer(message: Message, data: bytes) -> bool:
    framing = {b"content-length", b"transfer-encoding"}
    section = data.removesuffix(message.rest)
    return (
        any(name.lower() in framing for name, _ in message.trailers)
        or any(CONTROL.search(value) for _, value in message.trailers)
        or re.search(rb"(?<!\r)\n|\n[ \t]", section) is not None
    )


@dataclass(frozen=True)
class Difference:
    result: str
    reason: str
    kind: int
    example: bytes
    applies: Callable[[Message, bytes], bool]


START = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"

DIFFERENCES = (
    Difference(
        "bad line end",
        "a line ends with CRLF: a lone LF is where the next party may see no line (RFC 9112 section 2.2)",
        REQUEST,
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        lambda message, data: re.search(rb"(?<!\r)\n", head(data)) is not None or b"\n\n" in data,
    ),
    Difference(
        "obs-fold",
        "a server may refuse folded lines; to unfold them is to change bytes (RFC 9112 section 5.2)",
        REQUEST,
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
        lambda message, data: re.search(rb"\n[ \t]", head(data)) is not None,
    ),
    Difference(
        "bad field value",
        "controls are not allowed in values (RFC 9110 section 5.5); h11 refuses NUL and white space alone",
        REQUEST,
        START + b"X: \x01\r\n\r\n",
        lambda message, data: any(CONTROL.search(value) for _, value in message.fields),
    ),
    Difference(
        "bad start line",
        "controls are not allowed in a reason (RFC 9112 section 4)",
        RESPONSE,
        b"HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n",
        lambda message, data: isinstance(message.start[0], int) and bool(CONTROL.search(message.start[1])),
    ),
    Difference(
        "bad target",
        "the target has one of four forms, without fragment (RFC 9112 section 3.2); h11 takes any text",
        REQUEST,
        b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        bad_target,
    ),
    Difference(
        "unsupported version",
        "we speak HTTP/1.0 and HTTP/1.1, and answer 505 to all else; h11 takes any two digits",
        REQUEST,
        b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        lambda message, data: message.version not in (b"1.0", b"1.1"),
    ),
    Difference(
        "bad status",
        "statuses from 600 on are not HTTP's (RFC 9110 section 15)",
        RESPONSE,
        b"HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n",
        lambda message, data: isinstance(message.start[0], int) and message.start[0] >= 600,
    ),
    Difference(
        "bad host",
        "Host is an authority and routes the request (RFC 9112 section 3.2); h11 takes any text, and none",
        REQUEST,
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        lambda message, data: not all(is_authority(value) for value in values(message, b"host")),
    ),
    Difference(
        "bad content-length",
        "equal lengths in a list may be refused (RFC 9112 section 6.3), more digits than 18 overflow"
        " somewhere, and CONNECT, 1xx and 204 have no body",
        REQUEST,
        START + b"Content-Length: 1, 1\r\n\r\nx",
        odd_length,
    ),
    Difference(
        "length and coding",
        "both may be an attempt at smuggling and may be refused (RFC 9112 section 6.1)",
        REQUEST,
        START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        lambda message, data: bool(
            values(message, b"content-length") and values(message, b"transfer-encoding")
        ),
    ),
    Difference(
        "bad transfer-encoding",
        "HTTP/1.0 has no codings (RFC 9112 section 6.1), and CONNECT, 1xx and 204 have no body",
        REQUEST,
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        lambda message, data: message.version == b"1.0" or has_no_body(message),
    ),
    Difference(
        "bad connection",
        "options are a bounded list of tokens, and must not take away what frames or routes the message"
        " (RFC 9110 section 7.6.1); h11 leaves them to its user",
        REQUEST,
        START + b"Connection: host\r\n\r\n",
        lambda message, data: (
            any(not OPTIONS.fullmatch(value) for value in values(message, b"connection"))
            or sum(value.count(b",") + 1 for value in values(message, b"connection")) > 32
            or re.search(
                rb"content-length|transfer-encoding|host", b",".join(values(message, b"connection")).lower()
            )
            is not None
        ),
    ),
    Difference(
        "bad expectation",
        "the only expectation is 100-continue, and others may be answered 417 (RFC 9110 section 10.1.1)",
        REQUEST,
        START + b"Expect: x\r\n\r\n",
        lambda message, data: [value.lower() for value in values(message, b"expect")] != [b"100-continue"],
    ),
    Difference(
        "bad chunk",
        "size lines are short, without controls or white space after the size (RFC 9112 section 7.1)",
        REQUEST,
        CHUNKED + b"1 \r\nx\r\n0\r\n\r\n",
        odd_chunk,
    ),
    Difference(
        "bad trailer",
        "trailers obey the rules of header lines, and must not frame (RFC 9110 section 6.5.1)",
        REQUEST,
        CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
        odd_trailer,
    ),
    Difference(
        "too many fields",
        "the number of fields is bounded; h11 bounds the head alone",
        REQUEST,
        START + b"X: y\r\n" * 255 + b"\r\n",
        lambda message, data: len(message.fields) > 255 or len(message.trailers) > 255,
    ),
)
