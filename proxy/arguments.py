"""What all commands are described with: one among others, and the kinds of values that options take."""

import argparse


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    about: str,
    description: str,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    """A command, with its line in the list of all, and what its help says before and behind the options."""
    return commands.add_parser(
        name,
        help=about,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def duration(text: str) -> float:
    """Seconds."""
    from tulle.controlplane.units import nanoseconds

    try:
        return nanoseconds(text) / 1e9
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def life(text: str) -> float:
    """Seconds, one at least."""
    found = duration(text)
    if found < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is shorter than 1s")
    return found


def count(text: str) -> int:
    """A number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 1 to 65535")
    return int(text)
