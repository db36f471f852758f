"""The house rules as functions from a source text to complaints; `test_sourcecode.py` applies them.

A rule takes a `Source` and yields a `Complaint` for every line that breaks it. Rules read text and need
no build: Cython sources are read with comments and strings blanked, line by logical line.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

MAX_LINES = 700

# Functions of `_fast` that may take the GIL, as "path:function", each with its reason.
GIL_FUNCTIONS: frozenset[str] = frozenset(
    f"_fast/net/tls_library.pyx:{name}"  # asks a Python module for addresses, once, before the first context
    for name in ("tls_library_load", "fill", "take", "take_macro", "take_control", "find")
)

# Files of `_fast` that no worker runs, only the compiling process and commands: they read Python objects.
GIL_FILES = frozenset(
    {
        "_fast/http/answer.pyx",
        "_fast/policy/authorization_view.pyx",
        "_fast/policy/authorization_writer.pyx",
        "_fast/policy/balancing_writer.pyx",
        "_fast/policy/cluster_writer.pyx",
        "_fast/policy/endpoints_writer.pyx",
        "_fast/policy/explain.pyx",
        "_fast/policy/group_view.pyx",
        "_fast/policy/image_buffer.pyx",
        "_fast/policy/image_reader.pyx",
        "_fast/policy/greeting_writer.pyx",
        "_fast/policy/image_writer.pyx",
        "_fast/policy/predicate_writer.pyx",
        "_fast/policy/outlier_writer.pyx",
        "_fast/policy/route_writer.pyx",
        "_fast/policy/traffic_writer.pyx",
    }
)

# Who may import what of ours, by prefix of the importer's path; the longest prefix decides.
# A name stands for itself and what is below it.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "_fast/base": ("_fast.base",),
    "_fast/net": ("_fast.base", "_fast.net"),
    "_fast/http": ("_fast.base", "_fast.http"),
    "_fast/policy": ("_fast.base", "_fast.policy", "_fast.http.message"),
    "_fast/flow": ("_fast.base", "_fast.net", "_fast.http", "_fast.policy", "_fast.flow"),
    "controlplane": (
        "controlplane",
        "_fast.policy.image_writer",
        "_fast.policy.endpoints_writer",
        "_fast.policy.path",  # there is one definition of a path's normal form
    ),
    "proxy": (
        "proxy",
        "controlplane.address",
        "controlplane.check",
        "controlplane.client",
        "controlplane.compile",
        "controlplane.compile_tls",
        "controlplane.identity",
        "controlplane.mesh",
        "controlplane.model",
        "controlplane.names",
        "controlplane.plane",
        "controlplane.problems",
        "controlplane.schema",
        "controlplane.sealed",
        "controlplane.table",
        "controlplane.units",
        "_fast.base",
        "_fast.policy",
    ),
}
MAY_IMPORT["proxy/health"] = (*MAY_IMPORT["proxy"], "_fast.http.answer")
MAY_IMPORT["proxy/worker.py"] = (*MAY_IMPORT["proxy"], "_fast.flow")


@dataclass(frozen=True)
class Complaint:
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class LogicalLine:
    """A statement's text on one line: continuations joined, strings and comments blanked."""

    number: int
    indent: int
    text: str


@dataclass(frozen=True)
class Source:
    """A file: its path relative to the root of the project, with `/`, and its text."""

    path: str
    text: str

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix

    @property
    def is_cython(self) -> bool:
        return self.suffix in (".pyx", ".pxd")

    @cached_property
    def lines(self) -> list[LogicalLine]:
        return list(_logical_lines(self.text))

    def complain(self, line: int, text: str) -> Complaint:
        return Complaint(self.path, line, text)


_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?"""'
    r"|'''(?:\\.|[^\\])*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'"
    r"|#[^\n]*",
    re.DOTALL,
)


def _blank(match: re.Match[str]) -> str:
    quotes = "" if match[0].startswith("#") else '""'
    return quotes + "\n" * match[0].count("\n")


def _logical_lines(text: str) -> Iterator[LogicalLine]:
    pending: list[str] = []
    first = depth = 0
    for number, line in enumerate(_STRING_OR_COMMENT.sub(_blank, text).split("\n"), 1):
        if not pending:
            first = number
        depth += sum(line.count(mark) for mark in "([{") - sum(line.count(mark) for mark in ")]}")
        continued = line.endswith("\\")
        pending.append(line.removesuffix("\\"))
        if depth > 0 or continued:
            continue
        joined = " ".join((pending[0].rstrip(), *(part.strip() for part in pending[1:])))
        if joined.strip():
            yield LogicalLine(first, len(joined) - len(joined.lstrip()), joined.strip())
        pending = []
        depth = 0


# -- cdef statements ------------------------------------------------------------------------------------

_CDEF = re.compile(r"(?:cdef|cpdef)\b\s*(?P<rest>.*)")
_NOT_A_FUNCTION = re.compile(r"(?:extern|packed|struct|union|enum|class|cppclass|nogil)\b|:")
_FUNCTION = re.compile(r"[^=(]*?(?P<name>\w+)\s*\((?!\s*\*)")


@dataclass(frozen=True)
class Function:
    """A cdef function: `suffix` is what follows its parameters; without a body it is a declaration."""

    line: LogicalLine
    name: str
    suffix: str
    has_body: bool


def _function(line: LogicalLine) -> Function | None:
    statement = _CDEF.fullmatch(line.text)
    if statement is None or _NOT_A_FUNCTION.match(statement["rest"]):
        return None
    rest = statement["rest"]
    head = _FUNCTION.match(rest)
    if head is None:
        return None
    depth, end = 1, head.end()
    while depth and end < len(rest):
        depth += {"(": 1, ")": -1}.get(rest[end], 0)
        end += 1
    suffix, colon, _ = rest[end:].partition(":")
    return Function(line, head["name"], suffix.strip(), bool(colon))


def _functions(source: Source) -> Iterator[Function]:
    for line in source.lines:
        function = _function(line)
        if function is not None:
            yield function


# -- imports --------------------------------------------------------------------------------------------

_CYTHON_IMPORT = re.compile(
    r"from\s+(?P<source>[\w.]+)\s+c?import\b(?P<names>.*)"
    r"|c?import\s+(?P<modules>.*)"
)


def _names(listing: str) -> list[str]:
    return [part.split(" as ")[0].strip() for part in listing.strip(" ()").split(",") if part.strip()]


def _cython_imports(source: Source) -> Iterator[tuple[int, str]]:
    for line in source.lines:
        statement = _CYTHON_IMPORT.match(line.text)
        if statement is None:
            continue
        if statement["modules"] is not None:
            yield from ((line.number, module) for module in _names(statement["modules"]))
        else:
            yield from ((line.number, f"{statement['source']}.{name}") for name in _names(statement["names"]))


def _python_imports(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source.text, source.path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _allowed(path: str) -> tuple[str, ...] | None:
    rooms = [room for room in MAY_IMPORT if path == room or path.startswith(room + "/")]
    return MAY_IMPORT[max(rooms, key=len)] if rooms else None


def floors(source: Source) -> Iterator[Complaint]:
    """A room imports from floors below its own, by the full name of the module."""
    allowed = _allowed(source.path)
    if allowed is None or source.suffix not in (".py", ".pyx", ".pxd"):
        return
    for number, name in _cython_imports(source) if source.is_cython else _python_imports(source):
        if name.startswith("."):
            yield source.complain(number, f"relative import {name}: give the full name, tulle...")
        elif name.startswith("tulle.") and name != "tulle.__version__":
            target = name.removeprefix("tulle.")
            if not any(target == room or target.startswith(room + ".") for room in allowed):
                yield source.complain(
                    number,
                    f"{name} is not for {source.path}, which may import {', '.join(allowed)};"
                    " let the upper floor put a function pointer into a struct, or move the code",
                )


# -- single files ---------------------------------------------------------------------------------------


def file_size(source: Source) -> Iterator[Complaint]:
    count = source.text.count("\n")
    if count > MAX_LINES:
        message = f"{count} lines, {MAX_LINES} at the very most: find the second idea and move it"
        yield source.complain(MAX_LINES, message)


def leftovers(source: Source) -> Iterator[Complaint]:
    for number, line in enumerate(source.text.split("\n"), 1):
        found = re.search(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b", line)
        if found:
            yield source.complain(number, f"{found[0]}: do it, or file an issue")


def docstring(source: Source) -> Iterator[Complaint]:
    """A Cython file that holds something opens with what it owns; only directives may stand before."""
    if source.is_cython and source.text.strip() and not re.match(r'(?:#.*\n)*"""', source.text):
        yield source.complain(1, "no docstring: say what it owns, its invariants and who calls it")


def no_assert(source: Source) -> Iterator[Complaint]:
    if source.is_cython:
        for line in source.lines:
            if re.search(r"\bassert\b", line.text):
                yield source.complain(line.number, "assert takes the GIL and goes on: use BUG_ON")


def no_globals(source: Source) -> Iterator[Complaint]:
    """At module level cdef may make types, functions and constants."""
    if not source.is_cython:
        return
    for line in source.lines:
        statement = _CDEF.fullmatch(line.text)
        if statement is None or line.indent:
            continue
        rest = statement["rest"]
        if rest.startswith(":"):
            yield source.complain(line.number, "a block of cdef at module level: write each out")
        elif not (_NOT_A_FUNCTION.match(rest) or _function(line) or re.fullmatch(r"const\b[^*]*", rest)):
            yield source.complain(line.number, "a C variable of the module: hang it off the Worker")


def without_gil(source: Source) -> Iterator[Complaint]:
    """Every cdef function with a body is `noexcept nogil`, and no block takes the GIL, but those listed."""
    if not source.is_cython or source.path in GIL_FILES:
        return
    listed = False
    for line in source.lines:
        function = _function(line)
        if function is not None and function.has_body:
            listed = f"{source.path}:{function.name}" in GIL_FUNCTIONS
            if not listed and not {"noexcept", "nogil"} <= set(function.suffix.split()):
                yield source.complain(line.number, f"{function.name} is not `noexcept nogil`")
        elif re.match(r"(?:def|class|cdef\s+class)\b", line.text):
            listed = False
        if not listed and re.match(r"with\s+gil\b", line.text):
            yield source.complain(line.number, "`with gil` in a function that GIL_FUNCTIONS does not name")


# -- the tree -------------------------------------------------------------------------------------------


def pairs(sources: Iterable[Source]) -> Iterator[Complaint]:
    """A `.pyx` has its `.pxd`, but for borders to Python that have nothing to declare to other modules."""
    tree = {source.path: source for source in sources}
    for path, source in tree.items():
        if source.suffix != ".pyx" or path.removesuffix(".pyx") + ".pxd" in tree:
            continue
        for line in source.lines:
            declares = re.match(r"cdef\s+(?:packed|struct|union|enum)\b|ctypedef\b", line.text)
            if line.indent == 0 and (_function(line) or declares):
                yield source.complain(line.number, "this has no .pxd: declare it in one, beside this file")
                break


def stale_gil_functions(
    sources: Iterable[Source], listed: frozenset[str] = GIL_FUNCTIONS
) -> Iterator[Complaint]:
    there = {f"{source.path}:{function.name}" for source in sources for function in _functions(source)}
    for name in sorted(listed - there):
        yield Complaint("tests/house_rules.py", 1, f"GIL_FUNCTIONS names {name}, which is not there")


def mirror(test_files: Iterable[str], folders: frozenset[str]) -> Iterator[Complaint]:
    """A folder below `tests/` that holds tests stands for the folder of the same name in the tree."""
    for path in test_files:
        folder = str(PurePosixPath(path).parent.relative_to("tests"))
        if folder != "." and folder not in folders:
            yield Complaint(path, 1, f"there is no {folder}/ that this could test: tests/ mirrors the tree")


FILE_RULES_ANYWHERE = (floors, file_size, leftovers)
FILE_RULES = (*FILE_RULES_ANYWHERE, docstring, no_assert, no_globals, without_gil)
