"""What `docs/certificates.md` says of `tulle ca` and of files, there is; and nothing else."""

import argparse
import re
from pathlib import Path

from tulle.proxy import commands

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "certificates.md").read_text()
SOURCES = "".join((ROOT / "controlplane/identity" / name).read_text() for name in ("files.py", "inspect.py"))


def test_every_code_is_told() -> None:
    table = PAGE[PAGE.index("| code |") :]
    told = {code for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for code in cell.split(", ")}
    made = set(re.findall(r'FileProblem\(\s*"([a-z-]+)"', SOURCES))
    assert {code.strip("`") for code in told} == made


def test_every_command_and_option_is_told() -> None:
    ca = _commands(commands.make_parser())["ca"]
    for name, parser in _commands(ca).items():
        assert f"`tulle ca {name} " in PAGE
        for action in parser._actions:
            for option in set(action.option_strings) - {"-h", "--help"}:
                assert option in PAGE, (name, option)


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (found,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)
