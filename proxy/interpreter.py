"""How a module of ours is run by an interpreter of its own."""

import sys


def module_command(name: str) -> list[str]:
    """The words of a command that runs the module of this name, found where this process finds its own.

    Only who was begun by `python -m` looks for modules in the working directory.
    """
    begun_as_module = getattr(sys.modules["__main__"], "__spec__", None) is not None
    return [sys.executable, *([] if begun_as_module else ["-P"]), "-m", name]
