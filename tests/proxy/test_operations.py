"""What `docs/operations.md` says there is, there is; and nothing else."""

import argparse
import re
import signal

from tests.proxy.running import ROOT
from tulle._fast.base import figures
from tulle.proxy import commands, master

PAGE = (ROOT / "docs/operations.md").read_text()
EXPOSITION = "".join(path.read_text() for path in (ROOT / "proxy/admin").glob("*.py"))


def test_every_metric_is_there() -> None:
    written = {name.removesuffix("_total") for name in re.findall(r"`((?:tulle|process)_[a-z_]+)`", PAGE)}
    made = set(re.findall(r'"((?:tulle|process)_[a-z_]+)"', EXPOSITION))
    assert written == made


def test_every_admin_page_is_there() -> None:
    table = PAGE[PAGE.index("| page |") : PAGE.index("## Metrics")]
    written = {path.partition("?")[0] for path in re.findall(r"`(?:POST )?(/[a-z_/?=]*)`", table)}
    made = set(re.findall(r'"(/[a-z_/]*)": Page\(', (ROOT / "proxy/admin/pages.py").read_text()))
    assert made
    assert written == made


def test_every_command_and_option_is_there() -> None:
    for name, parser in commands_of(commands.make_parser()).items():
        assert f"`tulle {name} " in PAGE or f"`tulle {name}`" in PAGE
        if name == "demo":
            continue  # its options are for those who play with it
        for action in parser._actions:
            for option in action.option_strings:
                assert option in PAGE or option in ("-h", "--help", "--config", "--header"), (name, option)


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("there are no commands")


def test_every_signal_is_there() -> None:
    table = PAGE[PAGE.index("| signal |") : PAGE.index("## Processes")]
    written = {f"SIG{name}" for name in re.findall(r"[A-Z]{3}[A-Z0-9]?", table)} & set(
        signal.Signals.__members__
    )
    assert written == {number.name for number in master.SIGNALS}


def test_every_flag_is_there() -> None:
    table = PAGE[PAGE.index("| flag |") : PAGE.index("## The access log")]
    assert set(re.findall(r"\b[A-Z]{2,4}\b", table)) >= set(figures.FLAGS)
