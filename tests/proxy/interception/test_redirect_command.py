"""`tulle redirect`: what it says and prints. Nothing here changes the network."""

import subprocess
import sys

import pytest

from tests.proxy.running import PATIENCE, ROOT


def tulle(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tulle", "redirect", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_dry_run_prints_the_rules_of_either_tool() -> None:
    words = ("--user", "1337", "--user", "root", "--exclude-inbound-port", "22", "--dry-run")
    done = tulle(*words, "--tool", "nft")
    assert done.returncode == 0
    assert "meta skuid { 1337, 0 } return" in done.stdout
    assert "tcp dport { 22 } return" in done.stdout
    done = tulle(*words, "--tool", "iptables", "--ipv4-only")
    assert "-m owner --uid-owner 1337 -j RETURN" in done.stdout
    assert "ip6tables" not in done.stdout
    assert "delete table inet tulle" in tulle("--remove", "--dry-run", "--tool", "nft").stdout


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        ((), 2, "--user"),
        (("--user", "1", "--inbound-port", "0"), 2, "not a port"),
        (("--user", "1", "--exclude-outbound-range", "10.0.0.1/8"), 2, "has host bits set"),
        (("--user", "nobody-of-this-name", "--dry-run", "--tool", "nft"), 1, "there is no user"),
    ],
)
def test_wrong_usage_is_one_line(words: tuple[str, ...], status: int, reason: str) -> None:
    done = tulle(*words)
    assert done.returncode == status
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
