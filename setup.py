"""Builds the Cython modules of `_fast/` (and, in place only, those of `bench/` and `tests/`).

The build is parallel and incremental: a module is made again when a file that it reads, a switch or
Cython's version has changed. With `-q` it prints nothing but what the compilers complain of.

Switches, each an environment variable, all off by default:

  TULLE_DEBUG=1      -O0 and debug symbols
  TULLE_SANITIZE=1   AddressSanitizer and UndefinedBehaviorSanitizer, the first finding aborts
  TULLE_COVERAGE=1   gcov counters that show the Cython lines
  TULLE_STRICT=1     a warning or performance hint of Cython fails the build
  TULLE_JOBS=N       compilers at once (default: the CPUs this process may use)
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import Cython
from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
JOBS = int(os.environ.get("TULLE_JOBS") or len(os.sched_getaffinity(0)))
SWITCHES_FILE = ROOT / "build" / "switches"
TRANSLATOR_FILE = ROOT / "build" / "translator"


def switch(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0")


def compile_args() -> list[str]:
    args = ["-std=gnu11", "-fvisibility=hidden", "-fno-strict-aliasing", "-Wno-unused-function"]
    if switch("TULLE_SANITIZE"):
        # A struct is found from its member by way of a null pointer; a real one is ASan's to see
        sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize=null", "-fno-sanitize-recover=all"]
        return [*args, "-O1", "-g1", "-fno-omit-frame-pointer", *sanitizers]
    if switch("TULLE_COVERAGE"):
        return [*args, "-O0", "-g", "--coverage"]
    if switch("TULLE_DEBUG"):
        return [*args, "-O0", "-g"]
    return [*args, "-O2", "-g1"]


def link_args() -> list[str]:
    if switch("TULLE_SANITIZE"):
        return ["-fsanitize=address,undefined"]
    if switch("TULLE_COVERAGE"):
        return ["--coverage"]
    return ["-Wl,-O1,-z,relro"]


# What no file's age can tell: modules built with other switches must not pass for up to date.
SWITCHES = repr((Cython.__version__, sys.version, compile_args(), link_args()))
SWITCHES_CHANGED = not SWITCHES_FILE.exists() or SWITCHES_FILE.read_text() != SWITCHES
TRANSLATOR_CHANGED = not TRANSLATOR_FILE.exists() or TRANSLATOR_FILE.read_text() != Cython.__version__


def sources() -> list[Path]:
    """Every `.pyx`, relative to the root; `_fast` reached through `tulle/` as in a source distribution."""
    folders = ["tulle/_fast", *(["bench", "tests"] if "--inplace" in sys.argv else [])]
    found = (source for folder in folders for source in (ROOT / folder).rglob("*.pyx"))
    return sorted(source.relative_to(ROOT) for source in found)


def extensions() -> list[Extension]:
    return [
        Extension(
            ".".join(source.with_suffix("").parts),
            [str(source)],
            extra_compile_args=compile_args(),
            extra_link_args=link_args(),
        )
        for source in sources()
    ]


@contextmanager
def captured_stderr() -> Iterator[BinaryIO]:
    """A file that gets what this process and its children write to stderr, passed on at the end."""
    with tempfile.TemporaryFile() as capture:
        sys.stderr.flush()
        original = os.dup(2)
        os.dup2(capture.fileno(), 2)
        try:
            yield capture
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            capture.seek(0)
            os.write(2, capture.read())


def translate() -> list[Extension]:
    """Cython to C, which is the same for all switches: a tree for another may begin with a copy of it."""
    modules = cythonize(
        extensions(),
        nthreads=JOBS if JOBS > 1 else 0,  # 0: in this process
        quiet="-q" in sys.argv,
        force=TRANSLATOR_CHANGED,
        include_path=[str(ROOT)],
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "emit_code_comments": False,
        },
        emit_linenums=True,  # debuggers, sanitizers, profilers and gcov show Cython lines in place of C lines
    )
    TRANSLATOR_FILE.parent.mkdir(exist_ok=True)
    TRANSLATOR_FILE.write_text(Cython.__version__)
    return modules


def translate_strictly() -> list[Extension]:
    """As `translate`, but what Cython has to say is an error.

    The C files of a run that failed are dropped: the next run must say the same again.
    """
    start = time.time()
    with captured_stderr() as messages:
        modules = translate()
        complaints = os.fstat(messages.fileno()).st_size
    if complaints:
        for source in sources():
            translated = ROOT / source.with_suffix(".c")
            if translated.exists() and translated.stat().st_mtime >= start:
                translated.unlink()
        raise SystemExit("setup.py: Cython must have nothing to say (TULLE_STRICT=1); mend the lines above")
    return modules


class BuildExtensions(build_ext):
    def initialize_options(self) -> None:
        super().initialize_options()
        self.parallel = JOBS

    def run(self) -> None:
        if SWITCHES_CHANGED:
            self.force = True
            SWITCHES_FILE.unlink(missing_ok=True)
        super().run()
        SWITCHES_FILE.parent.mkdir(exist_ok=True)
        SWITCHES_FILE.write_text(SWITCHES)


setup(
    packages=find_packages(include=["tulle", "tulle.*"]),
    package_data={"": ["*.pxd", "*.pyi", "py.typed"]},
    exclude_package_data={"": ["*.c", "*.pyx"]},
    ext_modules=translate_strictly() if switch("TULLE_STRICT") else translate(),
    cmdclass={"build_ext": BuildExtensions},
)
