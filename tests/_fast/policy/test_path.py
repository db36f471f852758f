"""Path normalisation against a reference that works on lists of segments."""

import re
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tulle._fast.policy.path import normalise_path

MERGE, REFUSE, REFUSE_ESCAPED, DECODE_ESCAPED = 16, 32, 64, 128
FLAGS = st.builds(
    lambda slashes, escaped: slashes | escaped,
    st.sampled_from([0, MERGE, REFUSE]),
    st.sampled_from([0, REFUSE_ESCAPED, DECODE_ESCAPED]),
)
UNRESERVED = re.compile(rb"[A-Za-z0-9._~-]")
PIECES = [
    b"/", b"//", b".", b"..", b"a", b"bc", b"%2e", b"%2E%2e", b"%2f", b"%5c", b"%41", b"%c3", b"%25", b"%",
    b"%0", b"%00", b"%zz", b"~", b"%7e", b";x", b"\xc3",
]  # fmt: skip
PATHS = st.lists(st.sampled_from(PIECES), max_size=12).map(lambda pieces: b"/" + b"".join(pieces))


def reference(path: bytes, flags: int) -> bytes | None:
    """The normal form as RFC 3986 says it, slowly."""

    def escape(match: re.Match[bytes]) -> bytes:
        byte = bytes.fromhex(match[1].decode())
        if byte == b"\0" or (byte in b"/\\" and flags & REFUSE_ESCAPED):
            raise ValueError
        if UNRESERVED.fullmatch(byte) or (byte == b"/" and flags & DECODE_ESCAPED):
            return byte
        return b"%" + match[1].upper()

    if re.search(rb"%(?![0-9A-Fa-f]{2})", path):
        return None
    try:
        segments = re.sub(rb"%([0-9A-Fa-f]{2})", escape, path)[1:].split(b"/")
    except ValueError:
        return None
    if b"" in segments[:-1] and flags & REFUSE:
        return None
    if flags & MERGE:
        segments = [segment for segment in segments[:-1] if segment] + segments[-1:]
    kept: list[bytes] = []
    for index, segment in enumerate(segments):
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
            continue
        if index == len(segments) - 1:
            kept.append(b"")
    return b"/" + b"/".join(kept)


@settings(max_examples=1500)
@given(PATHS, FLAGS)
@example(b"/a/b/c/./../../g", 0)
@example(b"/..", 0)
@example(b"//..//a", 0)
@example(b"/a/..//b", MERGE)
def test_agrees_with_the_reference(path: bytes, flags: int) -> None:
    assert normalise_path(path, flags) == reference(path, flags)


@given(PATHS, FLAGS)
def test_the_normal_form_is_its_own(path: bytes, flags: int) -> None:
    normal = normalise_path(path, flags)
    if normal is not None:
        assert normalise_path(normal, flags) == normal
        assert len(normal) <= len(path)
        assert normal.startswith(b"/")
        assert not re.search(rb"/\.\.?(/|$)", normal)


@given(st.text(min_size=0, max_size=30))
def test_a_quoted_segment_stays_one_segment(text: str) -> None:
    """Whatever is in it, as long as escaped slashes are kept."""
    path = ("/x/" + quote(text.replace("\0", ""), safe="").replace(".", "%2E") + "y/z").encode()
    normal = normalise_path(path, 0)
    assert normal is not None
    assert normal.count(b"/") == 3


@pytest.mark.parametrize(
    ("path", "flags", "normal"),
    [
        (b"/a/b", 0, b"/a/b"),
        (b"/%61/%7Eb", 0, b"/a/~b"),
        (b"/%e2%82%ac", 0, b"/%E2%82%AC"),
        (b"/a/%2e%2E/b", 0, b"/b"),
        (b"/../../etc/passwd", 0, b"/etc/passwd"),
        (b"/a//b", 0, b"/a//b"),
        (b"/a//b", MERGE, b"/a/b"),
        (b"/a//b", REFUSE, None),
        (b"/a%2fb", 0, b"/a%2Fb"),
        (b"/a%2fb", REFUSE_ESCAPED, None),
        (b"/a%5Cb", REFUSE_ESCAPED, None),
        (b"/a%2fb", DECODE_ESCAPED, b"/a/b"),
        (b"/a%2f..%2Fb", DECODE_ESCAPED, b"/b"),
        (b"/a%2f%2fb", DECODE_ESCAPED | MERGE, b"/a/b"),
        (b"/a%5cb", DECODE_ESCAPED, b"/a%5Cb"),
        (b"/%252e%252e/a", 0, b"/%252e%252e/a"),
        (b"/.hidden/..x/a..", 0, b"/.hidden/..x/a.."),
        (b"/a/.", 0, b"/a/"),
        (b"*", 0, b"*"),
        (b"", 0, None),
        (b"a", 0, None),
        (b"/%", 0, None),
        (b"/%0", 0, None),
        (b"/%00", 0, None),
        (b"/%g0", 0, None),
    ],
)
def test_cases(path: bytes, flags: int, normal: bytes | None) -> None:
    assert normalise_path(path, flags) == normal
