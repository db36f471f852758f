"""Changed files are noticed, half-written pairs waited for, and what stays bad is refused once and loudly."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tulle.controlplane.identity.stamps import stamp
from tulle.proxy import loop
from tulle.proxy.failure import Failure
from tulle.proxy.identity import watch
from tulle.proxy.identity.watch import Attempt, Fault, FileWatch
from tulle.proxy.loop import spawn
from tulle.proxy.waiting import Timeout, sleep


class Pair:
    """A pair in two files that fits when both say the same; `used` is what serves."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "web.pem", folder / "web.key"
        self.write("1", "1")
        self.used = ["1"]
        self.reads = 0
        self.watch = FileWatch(self.read)
        self.watch.follow(self.stamps())

    def write(self, certificate: str, key: str) -> None:
        for file, text in ((self.key, key), (self.certificate, certificate)):
            new = file.with_suffix(".new")
            new.write_text(text)
            new.replace(file)

    def stamps(self) -> dict[str, str]:
        return {str(file): stamp(str(file)) for file in (self.certificate, self.key)}

    async def read(self) -> Attempt:
        self.reads += 1
        stamps = self.stamps()
        try:
            certificate, key = self.certificate.read_text(), self.key.read_text()
        except OSError:
            return Attempt((), (Fault("unreadable", str(self.key), "the key cannot be read"),), stamps)
        if certificate != key:
            return Attempt((), (Fault("key-mismatch", str(self.key), "the key does not fit"),), stamps)
        if certificate == self.used[-1]:
            return Attempt((), (), stamps)
        self.used.append(certificate)
        return Attempt((f"{self.certificate}: renewed",), (), stamps)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "INTERVAL", 0.005)
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.005)
    monkeypatch.setattr(watch, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(watch, "PATIENCE", 0.3)


def watched(pair: Pair, *steps: tuple[Callable[[], object], Callable[[], bool]]) -> None:
    """Do each step and wait for what it has to bring about, with the watch at work."""

    async def scenario() -> None:
        keeping = spawn(pair.watch.keep())
        for do, condition in steps:
            do()
            async with Timeout(20):
                while not condition():
                    await sleep(0.005)
        keeping.cancel()

    loop.run(scenario())


def test_a_look_costs_no_reading(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    looks = 0
    own = pair.watch.changed

    def changed() -> bool:
        nonlocal looks
        looks += 1
        return own()

    pair.watch.changed = changed  # type: ignore[method-assign]
    watched(pair, (lambda: None, lambda: looks > 20))
    assert pair.reads == 0


def test_a_new_pair_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = Pair(tmp_path)
    watched(
        pair,
        (lambda: pair.write("2", "2"), lambda: pair.watch.renewed == 1),
        (lambda: pair.write("3", "3"), lambda: pair.watch.renewed == 2),
    )
    assert pair.used == ["1", "2", "3"]
    assert pair.watch.refused == 0
    assert f"tulle: {pair.certificate}: renewed" in capsys.readouterr().err


def test_a_swapped_link_is_noticed(tmp_path: Path) -> None:
    """As Kubernetes mounts secrets: the files are links into ..data, a link that is renamed over."""
    for number in ("1", "2"):
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        for name in ("web.pem", "web.key"):
            (folder / name).write_text(number)
    (tmp_path / "..data").symlink_to("..1")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    pair = Pair(mounted)
    for name in ("web.pem", "web.key"):
        (mounted / name).unlink()
        (mounted / name).symlink_to(f"../..data/{name}")
    pair.watch.follow(pair.stamps())

    def swap() -> None:
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    watched(pair, (swap, lambda: pair.used == ["1", "2"]))
    assert pair.watch.refused == 0


def test_half_of_a_pair_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = Pair(tmp_path)
    watched(
        pair,
        (lambda: pair.write("1", "2"), lambda: pair.reads >= 2),
        (lambda: pair.write("2", "2"), lambda: pair.used == ["1", "2"]),
    )
    assert pair.watch.refused == 0
    assert "fit" not in capsys.readouterr().err


def test_a_file_that_is_away_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    watched(
        pair,
        (pair.key.unlink, lambda: pair.reads >= 2),
        (lambda: pair.write("2", "2"), lambda: pair.used == ["1", "2"]),
    )
    assert pair.watch.refused == 0


def test_what_stays_bad_is_refused_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = Pair(tmp_path)
    watched(pair, (lambda: pair.write("1", "2"), lambda: pair.watch.refused == 1))
    reads = pair.reads
    looks = time.monotonic() + 0.1
    watched(pair, (lambda: None, lambda: time.monotonic() > looks))
    assert (pair.reads, pair.watch.refused, pair.used) == (reads, 1, ["1"])
    said = capsys.readouterr().err
    assert said == (
        "tulle: the key does not fit\ntulle: these certificates are refused; the former ones serve on\n"
    )
    watched(pair, (lambda: pair.write("3", "3"), lambda: pair.used == ["1", "3"]))


def test_it_is_refused_again_when_it_changed_and_is_still_bad(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    watched(
        pair,
        (lambda: pair.write("1", "2"), lambda: pair.watch.refused == 1),
        (lambda: pair.write("1", "3"), lambda: pair.watch.refused == 2),
    )
    assert pair.used == ["1"]


def test_reading_may_fail_and_is_tried_with_the_next_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = Pair(tmp_path)
    own, fails = pair.watch.renew, [True]

    async def renew() -> Attempt:
        if fails[0]:
            raise Failure("a worker could not take them")
        return await own()

    pair.watch.renew = renew
    watched(pair, (lambda: pair.write("2", "2"), lambda: pair.watch.refused == 1))
    assert "a worker could not take them" in capsys.readouterr().err
    fails[0] = False
    watched(pair, (lambda: pair.write("3", "3"), lambda: pair.used == ["1", "3"]))


def test_a_watch_without_files_is_content(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.watch.follow({})
    pair.write("2", "2")
    assert not pair.watch.changed()
