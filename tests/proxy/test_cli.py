"""The command line: it teaches, and says what is wrong in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.proxy.running import PATIENCE, ROOT

HEAVY = {"asyncio", "msgspec", "ssl", "yaml", "json", "h11", "prometheus_client"}


def tulle(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tulle", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("command", ["proxy", "check", "reload", "explain", "demo"])
def test_every_command_has_help_with_examples(command: str) -> None:
    done = tulle(command, "--help")
    assert done.returncode == 0
    assert f"tulle {command} " in done.stdout.split("usage:", 1)[1]
    assert done.stdout.count(f"tulle {command} ") >= 2  # the usage, and an example
    assert command in tulle("--help").stdout


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["dance"],
        ["proxy"],
        ["proxy", "-c", "a.json", "--listen", "127.0.0.1:0"],
        ["proxy", "--listen", "127.0.0.1:0"],
        ["proxy", "-c", "a.json", "--to", "127.0.0.1:1"],
        ["proxy", "-c", "a.json", "--workers", "none"],
        ["proxy", "-c", "a.json", "--workers", "0"],
        ["reload"],
        ["reload", "--pid", "1", "--pid-file", "a.pid"],
        ["check"],
    ],
)
def test_wrong_usage_is_one_line_and_status_2(words: list[str]) -> None:
    done = tulle(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("tulle: ")
    assert "--help`" in done.stderr


def test_check_tells_good_from_bad(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.yaml"
    good.write_text("{}")
    bad.write_text("workers: many\ndrain_timeout: soon\n")
    assert tulle("check", str(good)).returncode == 0
    done = tulle("check", str(bad))
    assert done.returncode == 1
    assert f"{bad}:1: workers" in done.stderr
    assert f"{bad}:2: drain_timeout" in done.stderr


def test_help_imports_next_to_nothing() -> None:
    """What every command imports is what every worker has in memory."""
    program = f"""
import sys
from tulle.proxy.cli import main
try:
    main(["--help"])
finally:
    print(*set(sys.modules) & {HEAVY!r}, file=sys.stderr)
"""
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stderr == "\n"


def test_the_version_is_told() -> None:
    import tulle as package

    assert tulle("--version").stdout == f"tulle {package.__version__}\n"
