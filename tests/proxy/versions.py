"""Versions of the program in a directory of a test's own, of which one is installed at a time."""

import itertools
from pathlib import Path

from tests.proxy.running import ROOT

# Of a version that nobody is to run a keeper of: one that leaves at once, and needs nothing
NO_KEEPER = "def run(descriptors: list[int]) -> int:\n    return 1\n"


class Installation:
    """`directory` has the version of the package that was installed last. All share the built modules."""

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "installed"
        self.directory.mkdir()
        self.versions = folder / "versions"
        self.numbers = itertools.count()
        self.install(0)

    def install(self, more: int, keeper: str | None = None) -> None:
        """A version whose layout of shared memory has the number of ours and so many more.

        `keeper`: the text of its `proxy/keeper.py`; such a version does not have what keepers need.
        """
        package = self.versions / str(next(self.numbers))
        package.mkdir(parents=True)
        for path in (ROOT / "tulle").iterdir():
            (package / path.name).symlink_to(path.resolve())
        _own(package, "__init__.py").write_text(
            '__version__ = "0.1.0"\n'
            f"from tulle._fast.base import stats\nstats.LAYOUT += {more}\n"  # as if it were compiled so
        )
        if keeper is not None:
            _own(package, "proxy", "keeper.py").write_text(keeper)
            for name in (ROOT / "_fast" / "base").glob("export*.so"):
                _own(package, "_fast", "base", name.name)
        draft = self.directory / "draft"
        draft.symlink_to(package)
        draft.replace(self.directory / "tulle")


def _own(package: Path, *names: str) -> Path:
    """Where a file of the package may be written, which is not there any more, in folders of its own."""
    place = package
    for name in names[:-1]:
        place /= name
        if place.is_symlink():
            shared = place.resolve()
            place.unlink()
            place.mkdir()
            for path in shared.iterdir():
                (place / path.name).symlink_to(path)
    place /= names[-1]
    place.unlink()
    return place
