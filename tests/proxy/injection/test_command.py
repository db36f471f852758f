"""`tulle inject` and `tulle uninject` with files, directories and stdin."""

import subprocess
import sys
from pathlib import Path

from tests.proxy.injection.manifests import DEPLOYMENT, JOB
from tests.proxy.running import PATIENCE, ROOT


def tulle(*words: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tulle", *map(str, words)],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_stdin_to_stdout_and_back() -> None:
    done = tulle("inject", "-", text=DEPLOYMENT)
    assert done.returncode == 0
    assert done.stderr == "tulle: stdin: Deployment web: injected\n"
    back = tulle("uninject", text=done.stdout)
    assert (back.returncode, back.stdout) == (0, DEPLOYMENT)


def test_a_directory_in_place_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(DEPLOYMENT)
    (tmp_path / "b.yml").write_text("kind: [\n")
    (tmp_path / "notes.txt").write_text("kind: Pod")
    (tmp_path / "a.yaml").chmod(0o640)
    done = tulle("inject", "--in-place", tmp_path)
    assert done.returncode == 1
    assert "b.yml: line 2" in done.stderr
    assert (tmp_path / "a.yaml").read_text() == DEPLOYMENT
    (tmp_path / "b.yml").write_text(JOB)
    assert tulle("inject", "--in-place", tmp_path).returncode == 0
    assert "tulle.mesh/status" in (tmp_path / "b.yml").read_text()
    assert (tmp_path / "a.yaml").stat().st_mode & 0o777 == 0o640
    assert tulle("uninject", "--in-place", tmp_path).returncode == 0
    assert (tmp_path / "a.yaml").read_text() == DEPLOYMENT
    assert (tmp_path / "b.yml").read_text() == JOB
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.yaml", "b.yml", "notes.txt"]


def test_options_of_a_control_plane_are_checked() -> None:
    done = tulle("inject", "--control", "control.example", text=DEPLOYMENT)
    assert done.returncode == 2
    assert "'control.example' has no port" in done.stderr
    done = tulle("inject", "--token-secret", "mine", text=DEPLOYMENT)
    assert done.returncode == 1
    assert "--token-secret goes with --control" in done.stderr


def test_several_files_are_one_stream(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(DEPLOYMENT.rstrip("\n"))
    (tmp_path / "b.yaml").write_text(JOB)
    done = tulle("uninject", tmp_path, "-o", tmp_path / "all")
    assert done.returncode == 0
    assert (tmp_path / "all").read_text() == f"{DEPLOYMENT}---\n{JOB}"


def test_what_cannot_be_read_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    for words, reason in (
        (("inject", tmp_path / "none.yaml"), "cannot read"),
        (("inject", tmp_path / "latin.yaml"), "is not UTF-8 at byte 3"),
        (("inject", "--in-place", "-"), "stdin cannot be written in place"),
    ):
        done = tulle(*words)
        assert done.returncode == 1
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
