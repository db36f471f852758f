"""Builds the Cython modules of `_fast/`, incrementally and in parallel.

Switches, each an environment variable, all off by default:

  TULLE_DEBUG=1      -O0 and debug symbols
  TULLE_SANITIZE=1   AddressSanitizer and UndefinedBehaviorSanitizer
  TULLE_COVERAGE=1   gcov counters that show the Cython lines
  TULLE_JOBS=N       compilers at once (default: the CPUs this process may use)
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
JOBS = int(os.environ.get("TULLE_JOBS") or len(os.sched_getaffinity(0)))


def switch(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0")


def compile_args() -> list[str]:
    args = ["-std=gnu11", "-fvisibility=hidden", "-fno-strict-aliasing", "-Wno-unused-function"]
    if switch("TULLE_SANITIZE"):
        return [*args, "-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined"]
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


def extensions() -> list[Extension]:
    """One module per `.pyx`; the package path is reached through `tulle/`."""
    return [
        Extension(
            ".".join(("tulle", *source.relative_to(ROOT).with_suffix("").parts)),
            [str(Path("tulle") / source.relative_to(ROOT))],
            extra_compile_args=compile_args(),
            extra_link_args=link_args(),
        )
        for source in sorted((ROOT / "_fast").rglob("*.pyx"))
    ]


class BuildExtensions(build_ext):
    def initialize_options(self) -> None:
        super().initialize_options()
        self.parallel = JOBS


setup(
    packages=find_packages(include=["tulle", "tulle.*"]),
    package_data={"": ["*.pxd", "py.typed"]},
    exclude_package_data={"": ["*.c", "*.pyx"]},
    ext_modules=cythonize(
        extensions(),
        nthreads=JOBS,
        include_path=[str(ROOT)],
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "emit_code_comments": False,
        },
        emit_linenums=switch("TULLE_DEBUG") or switch("TULLE_SANITIZE") or switch("TULLE_COVERAGE"),
    ),
    cmdclass={"build_ext": BuildExtensions},
)
