"""Memory behind descriptors, which one process makes and another reads."""

import os


def memfd(name: str, data: bytes) -> int:
    """A descriptor of memory with this content, closed on exec. `name` shows in /proc only."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def content(descriptor: int) -> bytes:
    """All of a memfd, wherever its file position is."""
    size = os.fstat(descriptor).st_size
    parts = []
    position = 0
    while position < size:
        part = os.pread(descriptor, size - position, position)
        if not part:
            break
        parts.append(part)
        position += len(part)
    return b"".join(parts)
