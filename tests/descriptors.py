"""What a process has open."""

from pathlib import Path


def open_files(pid: int) -> dict[Path, str]:
    """What each descriptor in /proc leads to; without those that are closed while one looks."""
    found = {}
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[descriptor] = str(descriptor.readlink())
        except FileNotFoundError:
            continue
    return found
