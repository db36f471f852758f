"""A proxy that is spared the work of logging must not be compared with those that do it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.process import Failed
from bench.scenarios import Stage, traffic


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    there = SimpleNamespace(
        running=SimpleNamespace(folder=tmp_path),
        peer=SimpleNamespace(name="proxy", access_log="access.log"),
        seconds=2,
    )
    return cast(Stage, there)


def load_that_logs(folder: Path, lines: int) -> Any:
    def measure(stage: Stage, **_: object) -> dict[str, float]:
        with (folder / "access.log").open("a") as log:
            log.write("GET /\n" * lines)
        return {"requests_per_second": 50.0}

    return measure


def test_the_share_that_was_logged_in_this_round(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "access.log").write_text("of an earlier round\n" * 500)
    monkeypatch.setattr(traffic, "measure_wrk", load_that_logs(tmp_path, 90))
    assert traffic.measure_logged(stage, connections=1)["logged_percent"] == 90


def test_no_log_is_no_measurement(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "measure_wrk", load_that_logs(tmp_path, 10))
    with pytest.raises(Failed, match="proxy logged 10 of 100 requests"):
        traffic.measure_logged(stage, connections=1)
