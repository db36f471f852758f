"""The PID file: written when the proxy is ready, whole or not at all, removed when it leaves."""

import os
from contextlib import suppress
from pathlib import Path

from tulle.proxy.failure import Failure


class PidFile:
    """`path` holds the PID of the master, in decimal and with a newline."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def check(self) -> None:
        """`Failure` when it could not be written."""
        if not os.access(self.path.parent, os.W_OK | os.X_OK):
            raise self._failure("the directory does not exist or is not writable")

    def write(self) -> None:
        """`Failure` when the directory does not let us."""
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            draft.write_text(f"{os.getpid()}\n")
            draft.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise self._failure(error.strerror or str(error)) from None

    def _failure(self, reason: str) -> Failure:
        return Failure(f"cannot write the PID file {self.path}: {reason}; choose another with --pid-file")

    def remove(self) -> None:
        """If it is still ours."""
        with suppress(OSError, ValueError):
            if read(self.path) == os.getpid():
                self.path.unlink()


def read(path: Path) -> int:
    """The PID in a file. OSError when there is none, ValueError when it holds something else."""
    return int(path.read_text().strip())
