"""The command line: it teaches, and says what is wrong in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.proxy.running import PATIENCE, ROOT
from tulle.proxy.start import Options

HEAVY = {"asyncio", "cryptography", "msgspec", "ssl", "yaml", "json", "h11", "prometheus_client"}


def tulle(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tulle", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


COMMANDS = ["proxy", "check", "reload", "explain", "ca", "inject", "uninject", "redirect", "run", "demo"]


@pytest.mark.parametrize("command", COMMANDS)
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
        ["run"],
        ["run", "--wait", "5", "--", "true"],
        ["ca"],
        ["ca", "init", "ca"],
        ["ca", "issue", "ca"],
        ["ca", "issue", "ca", "/web", "--life", "1"],
        ["ca", "issue", "ca", "/web", "--life", "0s"],
        ["ca", "issue", "ca", "/web", "--key", "dsa"],
        ["ca", "rotate", "ca", "--root", "now"],
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


def test_a_command_line_is_read_in_a_child() -> None:
    """The master keeps what it has imported for as long as it lives."""
    program = """
import sys
from tulle.proxy.start import Options, read_apart
words = ["proxy", "-c", "a.yaml", "--workers", "2", "--pid-file", "a.pid", "--zone", "z"]
read = read_apart(words)
print(read._replace(command=()), "argparse" in sys.modules, read_apart(["proxy", "--nothing"]))
"""
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    options = Options({"file": "a.yaml", "zone": "z"}, 2, "a.pid", ())
    assert done.stdout == f"{options} False 2\n"
    assert done.stderr.startswith("tulle: ")


def test_the_version_is_told() -> None:
    import tulle as package

    assert tulle("--version").stdout == f"tulle {package.__version__}\n"
