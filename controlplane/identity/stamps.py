"""By what a file is known to have changed since it was read. Imports next to nothing: masters have it."""

import os


def stamp(file: str) -> str:
    """Of the file that a name leads to now; empty when it leads to none."""
    try:
        return stamp_of(os.stat(file))  # noqa: PTH116 - as above
    except OSError:
        return ""


def stamp_of(status: os.stat_result) -> str:
    """Another file under the same name, or another content, has another stamp."""
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
