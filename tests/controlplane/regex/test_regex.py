"""Patterns against Python's `re` on what both understand, and what is refused."""

import re
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tulle.controlplane.regex import Dfa, PatternError, compile_pattern

ALPHABET = "ab/.-1é€😀\n"
TEXTS = st.text(ALPHABET, max_size=8)


def accepts(dfa: Dfa, text: bytes) -> bool:
    transitions = array("H", dfa.transitions)
    state = 1
    for byte in text:
        state = transitions[state * dfa.classes + dfa.byte_class[byte]]
    return bool(dfa.accepting[state >> 3] >> (state & 7) & 1)


def matches(pattern: str, text: str) -> bool:
    return accepts(compile_pattern(pattern), text.encode())


def patterns() -> st.SearchStrategy[str]:
    """Patterns that mean the same to RE2 and to Python."""
    atoms = st.one_of(
        st.sampled_from(
            ["a", "b", "/", r"\.", "-", "é", "€", "😀", ".", r"\d", r"\D", r"\w", r"\W", r"\x61", r"\n"]
        ),
        st.sampled_from(
            ["[ab]", "[^a]", "[a-c1]", "[^/.]", "[é-€]", "[^é-😀]", r"[\d/]", r"[^\w]", "[]a]", "[a-]"]
        ),
        st.just("(?:)"),
    )
    repeats = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?"])

    def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.lists(inner, min_size=1, max_size=4).map("".join),
            st.lists(inner, min_size=2, max_size=3).map(lambda options: f"({'|'.join(options)})"),
            st.tuples(inner, repeats).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
            inner.map(lambda pattern: f"(?i:{pattern})"),
            inner.map(lambda pattern: f"(?s:{pattern})"),
            inner.map(lambda pattern: rf"\A{pattern}"),
        )

    return st.recursive(atoms, extend, max_leaves=8)


@settings(max_examples=400, deadline=None)
@given(patterns(), st.lists(TEXTS, min_size=1, max_size=12))
def test_agrees_with_python(pattern: str, texts: list[str]) -> None:
    # Python's \d and \w are of ASCII only with this flag, as RE2's always are; but then it folds only ASCII
    if "(?i:" in pattern and not pattern.isascii():
        pattern = pattern.replace("(?i:", "(?:")
    dfa = compile_pattern(pattern)
    for text in texts:
        assert accepts(dfa, text.encode()) == bool(re.fullmatch(pattern, text, re.ASCII)), (pattern, text)


@settings(max_examples=100, deadline=None)
@given(patterns(), TEXTS)
def test_what_python_generates_is_accepted(pattern: str, text: str) -> None:
    """A pattern with its text quoted as an alternative accepts the text."""
    assert matches(f"{pattern}|\\Q{text}\\E", text)


@settings(max_examples=50, deadline=None)
@given(patterns())
def test_the_automaton_is_the_smallest(pattern: str) -> None:
    """No two states accept the same rests: refining by one byte at a time tells all of them apart."""
    dfa = compile_pattern(pattern)
    rows = [
        array("H", dfa.transitions)[state * dfa.classes : (state + 1) * dfa.classes]
        for state in range(dfa.states)
    ]
    kind = [dfa.accepting[state >> 3] >> (state & 7) & 1 for state in range(dfa.states)]
    while True:
        names: dict[tuple[int, ...], int] = {}
        refined = [
            names.setdefault((kind[state], *(kind[target] for target in rows[state])), len(names))
            for state in range(dfa.states)
        ]
        if len(set(refined)) == len(set(kind)):
            break
        kind = refined
    # the start may be like the dead state, which must stay 0 while the start is 1
    assert len(set(kind)) >= dfa.states - (kind[0] == kind[1])


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"/users/[0-9]+", ["/users/1", "/users/42"], ["/users/", "/users/1/x", "x/users/1"]),
        (r"(?i)hello", ["HELLO", "hello", "HeLLo"], ["hell", "hello "]),
        (r"(?i)é", ["é", "É"], ["e"]),
        (r"(?i)k", ["k", "K"], ["\u212a"]),
        (r"^/a$", ["/a"], ["/a\n", "\n/a"]),
        (r"a^b", [], ["ab", "a^b"]),
        (r"$^", [""], ["a"]),
        (r"a$|b", ["a", "b"], ["ab"]),
        (r"(?:^a)+", ["a"], ["aa", ""]),
        (r"\Qa.b*\E", ["a.b*"], ["axb"]),
        (r"a{,3}", ["a{,3}"], ["a", "aaa"]),
        (r"[[:alpha:]]+", ["abc"], ["", "a1"]),
        (r"[[:^alpha:]]", ["1"], ["a"]),
        (r"\x{20AC}", ["€"], ["e"]),
        (r"\s", [" ", "\t"], ["\v", "x"]),
        (r"(?s).", ["\n", "a"], [""]),
        (r"a(?i)b|c", ["aB", "C"], ["Ab"]),
        (r"(?P<name>a)(?<other>b)", ["ab"], []),
    ],
)
def test_syntax(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [text for text in yes if not matches(pattern, text)] == []
    assert [text for text in no if matches(pattern, text)] == []


def test_bytes_that_are_no_utf8() -> None:
    assert not accepts(compile_pattern("."), b"\xff")
    assert not accepts(compile_pattern("[^a]*"), b"\xc3")
    assert not accepts(compile_pattern(".*"), b"\xed\xa0\x80"), "a surrogate is no character"
    assert accepts(compile_pattern(r"\C+"), b"\xff\xfe")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a)\1", "backreference"),
        (r"(?=a)", "lookahead"),
        (r"(?!a)", "lookahead"),
        (r"(?<=a)b", "lookbehind"),
        (r"(?<!a)b", "lookbehind"),
        (r"(?>a)", "atomic"),
        (r"a++", "possessive"),
        (r"a**", "repetition repeated"),
        (r"[a", "not closed"),
        (r"(a", "not closed"),
        (r"a)", "no group"),
        (r"*a", "nothing to repeat"),
        (r"a{5,2}", "low to high"),
        (r"a{1001}", "1000"),
        (r"\pL", "Unicode classes"),
        (r"\bword", "word boundaries"),
        (r"(?m)a", r"\(\?m\)"),
        (r"[[:nope:]]", "nope"),
        (r"[b-a]", "low to high"),
        ("a\\", "lone backslash"),
        (r"\y", "not known"),
        ("(" * 200 + ")" * 200, "nested"),
        ("a" * 5000, "characters"),
    ],
)
def test_what_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError, match=reason):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a|b)*a(a|b){20}",
        "[^/]{0,1000}/.{0,1000}",
        "((((a{100}){100}){100}){100})",
        "(.{1,100}x){1,100}",
        "(?:a?){1000}" + "a{1000}",
    ],
)
@pytest.mark.timeout(20)
def test_what_would_be_too_large_is_refused_in_time(pattern: str) -> None:
    with pytest.raises(PatternError, match=r"automaton|repeats too much"):
        compile_pattern(pattern)
