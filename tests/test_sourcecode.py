"""The house rules hold for every source file, and each rule can fail."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import house_rules
from tests.house_rules import Complaint, Source

ROOT = Path(__file__).parent.parent
CODE = ("_fast", "proxy", "controlplane", "bench")
SUFFIXES = (".py", ".pyx", ".pxd")
LEFTOVERS_ONLY = ("tests", "docs", "dev", ".ci", "setup.py", "README.md")


def read(*places: str, suffixes: tuple[str, ...] = SUFFIXES) -> list[Source]:
    found = []
    for place in places:
        files = [ROOT / place] if (ROOT / place).is_file() else sorted((ROOT / place).rglob("*"))
        for file in files:
            if file.is_file() and (file.suffix in suffixes or file == ROOT / place):
                found.append(Source(file.relative_to(ROOT).as_posix(), file.read_text()))
    return found


def show(complaints: list[Complaint]) -> str:
    return "\n" + "\n".join(map(str, complaints))


@pytest.mark.parametrize("source", read(*CODE), ids=lambda source: source.path)
def test_file_keeps_the_rules(source: Source) -> None:
    rules = house_rules.FILE_RULES if source.path.startswith("_fast/") else house_rules.FILE_RULES_ANYWHERE
    complaints = [complaint for rule in rules for complaint in rule(source)]
    assert not complaints, show(complaints)


def test_tree_keeps_the_rules() -> None:
    sources = read("_fast")
    complaints = [*house_rules.pairs(sources), *house_rules.stale_gil_functions(sources)]
    assert not complaints, show(complaints)


def test_nothing_is_left_to_do_elsewhere() -> None:
    sources = read(*LEFTOVERS_ONLY, suffixes=(*SUFFIXES, ".md", ".sh", ""))
    assert sources
    complaints = [complaint for source in sources for complaint in house_rules.leftovers(source)]
    assert not complaints, show(complaints)


def test_tests_mirror_the_tree() -> None:
    tests = [file.relative_to(ROOT).as_posix() for file in (ROOT / "tests").rglob("test_*.py")]
    folders = {folder.relative_to(ROOT).as_posix() for top in CODE for folder in (ROOT / top).rglob("*/")}
    complaints = list(house_rules.mirror(tests, frozenset({*folders, *CODE})))
    assert not complaints, show(complaints)


# -- each rule can fail, and lets pass what is right ----------------------------------------------------

# For each rule: (path, text) that breaks it once.
BROKEN = {
    "file_size": [("proxy/a.py", "x = 1\n" * 701)],
    "floors": [
        ("_fast/base/a.pxd", "from tulle._fast.http.message cimport Message"),
        ("_fast/base/a.pxd", "from tulle._fast cimport net"),
        ("_fast/net/a.pyx", "from tulle._fast.http.message cimport Message"),
        ("_fast/net/a.pyx", "from .loop cimport Loop"),
        ("_fast/net/a.pyx", "from tulle._fast.flow.pool cimport (\n    Pool,\n)"),
        ("_fast/net/a.pyx", "def f():\n    from tulle.proxy import cli"),
        ("_fast/http/a.pyx", "cimport libc.stdlib, tulle._fast.net.loop as loop"),
        ("_fast/policy/a.pyx", "from tulle._fast.http.h1_parse cimport h1_parse"),
        ("_fast/policy/a.pyx", "cimport tulle._fast.net.loop"),
        ("_fast/flow/a.pyx", "from tulle.proxy.worker import start"),
        ("controlplane/a.py", "from tulle.proxy import cli"),
        ("controlplane/a.py", "import tulle._fast.policy.route"),
        ("proxy/master.py", "def f():\n    from tulle._fast.flow import worker"),
        ("proxy/worker.py", "from tulle._fast.net import loop"),
        ("proxy/a.py", "from tulle.controlplane.server import serve"),
        ("proxy/a.py", "from . import master"),
    ],
    "leftovers": [("proxy/a.py", "x = 1  # TO" + "DO tidy"), ("docs/a.md", "FIX" + "ME")],
    "docstring": [
        ("_fast/base/a.pxd", "cdef struct Node:\n    int x"),
        ("_fast/base/a.pyx", "# Nodes.\nfrom libc.string cimport memcpy"),
    ],
    "no_assert": [("_fast/base/a.pyx", "cdef void f() noexcept nogil:\n    assert 1 > 2")],
    "no_globals": [
        ("_fast/base/a.pyx", "cdef int count = 0"),
        ("_fast/base/a.pyx", 'cdef const char *name = "x"'),
        ("_fast/base/a.pyx", "cdef object lock = Lock()"),
        ("_fast/base/a.pyx", "cdef void (*hook)(int) noexcept nogil"),
        ("_fast/base/a.pyx", "cdef:\n    int x"),
        ("_fast/base/a.pxd", "cdef unsigned char table[256]"),
    ],
    "without_gil": [
        ("_fast/base/a.pyx", "cdef int f(int x) noexcept:\n    return x"),
        ("_fast/base/a.pyx", "cdef int f(int x) except -1 nogil:\n    return x"),
        ("_fast/base/a.pyx", "cdef int f(\n    int x,  # noexcept nogil:\n):\n    return x"),
        ("_fast/base/a.pyx", "cdef int f(int (*g)(int) noexcept nogil):\n    return g(1)"),
        ("_fast/base/a.pyx", "cdef int f(): return 1"),
        ("_fast/base/a.pyx", "cdef class A:\n    cdef int f(self):\n        return 1"),
        ("_fast/base/a.pyx", "cpdef int f():\n    return 1"),
        ("_fast/base/a.pyx", "cdef int f() noexcept nogil:\n    with gil:\n        g()"),
        ("_fast/base/a.pxd", "cdef inline int f(int x) nogil:\n    return x"),
    ],
}

# For each rule: (path, text) that it must let pass.
KEPT = {
    "file_size": [("proxy/a.py", "x = 1\n" * 700)],
    "floors": [
        ("_fast/net/a.pyx", "from libc.string cimport memcpy\ncimport tulle._fast.base.slab"),
        ("_fast/net/a.pyx", "from tulle._fast.net.loop cimport Loop"),
        ("_fast/flow/a.pyx", "from tulle._fast.net.loop cimport Loop"),
        ("_fast/policy/a.pyx", "from tulle._fast.http.message cimport Message"),
        ("controlplane/compile/a.py", "from tulle._fast.policy.image_writer import write"),
        ("proxy/a.py", "import tulle.proxy.cli\nfrom tulle.controlplane.model import Config"),
        ("proxy/a.py", "from tulle.controlplane.compile.table import build"),
        ("proxy/a.py", "from tulle import __version__"),
        ("proxy/worker.py", "from tulle._fast.flow import worker"),
        ("tests/a.py", "from tulle._fast.flow import worker"),
    ],
    "leftovers": [("proxy/a.py", "XXXL = 1")],
    "docstring": [
        ("_fast/base/__init__.pxd", ""),
        ("_fast/base/a.pxd", '# cython: cdivision=True\n"""Nodes."""\n'),
    ],
    "no_assert": [("_fast/base/a.pyx", '"""assert nothing"""  # assert')],
    "no_globals": [
        ("_fast/base/a.pyx", "cdef const int LIMIT = 3"),
        ("_fast/base/a.pyx", "cdef int f() noexcept nogil:\n    cdef int x = g()\n    return x"),
        ("_fast/base/a.pxd", "cdef int f(int x) noexcept nogil"),
        ("_fast/base/a.pxd", "cdef struct A:\n    int x\ncdef enum:\n    B = 1"),
        ("_fast/base/a.pxd", "cdef extern from *:\n    int y\ncdef class C:\n    cdef int z"),
    ],
    "without_gil": [
        ("_fast/base/a.pyx", "cdef int f(\n    int x,\n) noexcept nogil:\n    return x"),
        ("_fast/base/a.pyx", "def f():\n    cdef int x = g(1)\n    cdef int (*h)(int)"),
        ("_fast/base/a.pyx", "def f(x):\n    return x"),
        ("_fast/base/a.pxd", "cdef extern from *:\n    int f(int x)"),
    ],
}


def cases(table: dict[str, list[tuple[str, str]]]) -> list[tuple[str, str, str]]:
    return [(rule, path, text) for rule, snippets in table.items() for path, text in snippets]


@pytest.mark.parametrize(("rule", "path", "text"), cases(BROKEN))
def test_rule_fails(rule: str, path: str, text: str) -> None:
    assert len(list(getattr(house_rules, rule)(Source(path, text)))) == 1


@pytest.mark.parametrize(("rule", "path", "text"), cases(KEPT))
def test_rule_passes(rule: str, path: str, text: str) -> None:
    assert list(getattr(house_rules, rule)(Source(path, text))) == []


def test_every_file_rule_is_shown_to_fail() -> None:
    assert set(BROKEN) == set(KEPT) == {rule.__name__ for rule in house_rules.FILE_RULES}


def test_complaint_names_the_line() -> None:
    source = Source("_fast/base/a.pyx", '"""A\ndocstring."""\n\ncdef int f(\n    int x,\n):\n    return x\n')
    assert [str(complaint) for complaint in house_rules.without_gil(source)] == [
        "_fast/base/a.pyx:4: f is not `noexcept nogil`"
    ]


def test_listed_function_may_take_the_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "cdef int f() noexcept nogil:\n    with gil:\n        pass\ndef g():\n    with gil:\n        pass"
    source = Source("_fast/base/a.pyx", text)
    monkeypatch.setattr(house_rules, "GIL_FUNCTIONS", frozenset({"_fast/base/a.pyx:f"}))
    assert [complaint.line for complaint in house_rules.without_gil(source)] == [5]


def test_pairs_fails_without_pxd() -> None:
    source = Source("_fast/base/a.pyx", "cdef int f() noexcept nogil:\n    return 1")
    border = Source("_fast/base/border.pyx", "cdef extern from *:\n    int x\ndef f():\n    return 1")
    assert len(list(house_rules.pairs([source, border]))) == 1
    assert list(house_rules.pairs([source, Source("_fast/base/a.pxd", "")])) == []


def test_stale_gil_function_is_found() -> None:
    source = Source("_fast/base/a.pyx", "cdef int f() noexcept nogil:\n    return 1")
    listed = frozenset({"_fast/base/a.pyx:f", "_fast/base/a.pyx:gone"})
    (complaint,) = house_rules.stale_gil_functions([source], listed)
    assert "_fast/base/a.pyx:gone" in str(complaint)


def test_mirror_fails_for_an_unknown_folder() -> None:
    tests = ["tests/test_top.py", "tests/proxy/test_a.py", "tests/elsewhere/test_b.py"]
    complaints = list(house_rules.mirror(tests, frozenset({"proxy"})))
    assert [complaint.path for complaint in complaints] == ["tests/elsewhere/test_b.py"]


# -- the strict build -----------------------------------------------------------------------------------


@pytest.fixture
def small_project(tmp_path: Path) -> Iterator[Path]:
    """A project of one empty Cython module that is built by our `setup.py`."""
    shutil.copy(ROOT / "setup.py", tmp_path)
    package = tmp_path / "tulle" / "_fast"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "module.pyx").touch()
    yield tmp_path


def build(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=project,
        env={**os.environ, "TULLE_STRICT": "1", "TULLE_JOBS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_strict_build_refuses_a_performance_hint_every_time(small_project: Path) -> None:
    module = small_project / "tulle" / "_fast" / "module.pyx"
    module.write_text("cdef void f() nogil:\n    pass\n\ndef g():\n    f()\n")
    for _ in range(2):
        result = build(small_project)
        assert result.returncode != 0
        assert "performance hint: tulle/_fast/module.pyx:1" in result.stderr


def test_build_is_quiet_and_follows_the_switches(
    small_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_project / "tulle" / "_fast"
    result = build(small_project)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    (built,) = folder.glob("module.*.so")
    first = built.stat().st_mtime_ns
    assert build(small_project).returncode == 0
    assert built.stat().st_mtime_ns == first
    monkeypatch.setenv("TULLE_DEBUG", "1")
    assert build(small_project).returncode == 0
    assert built.stat().st_mtime_ns != first
