"""The authority on disk: whole or not at all, for its owner alone, and a root that gives way to another."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.controlplane.identity.making import DAY, NOW, write
from tulle.controlplane.identity import disk, keys, store
from tulle.controlplane.identity.errors import IdentityError
from tulle.controlplane.identity.request import Identity, Request
from tulle.controlplane.identity.spiffe import parse
from tulle.controlplane.identity.store import Store, create_store, open_store

WEB = Identity(parse("spiffe://shop.example/ns/default/sa/web"))
Trusted = Callable[[bytes, bytes], bool]


@pytest.fixture
def ca(tmp_path: Path) -> Store:
    return create_store(tmp_path / "ca", "shop.example", NOW)


def issue(store: Store, now: float = NOW) -> bytes:
    return store.issue(Request(keys.generate().public_key()), WEB, now).pem


@pytest.fixture
def trusted(program: Callable[[str], str], tmp_path: Path) -> Trusted:
    def ask(chain: bytes, bundle: bytes) -> bool:
        """Whether OpenSSL trusts a chain by a bundle."""
        write(tmp_path / "chain.pem", chain)
        write(tmp_path / "bundle.pem", bundle)
        words = ["verify", "-attime", str(int(NOW)), "-CAfile", "bundle.pem", "-untrusted", "chain.pem"]
        done = subprocess.run(
            [program("openssl"), *words, "chain.pem"], cwd=tmp_path, capture_output=True, check=False
        )
        return done.returncode == 0

    return ask


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_only_the_owner_may_look(ca: Store) -> None:
    assert stat.S_IMODE(ca.folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in ca.folder.iterdir()}
    assert modes == {
        "ca.json": 0o600,
        "root-1.key": 0o600,
        "intermediate-1.key": 0o600,
        "join.secret": 0o600,
        "root-1.pem": 0o644,
        "intermediate-1.pem": 0o644,
        "bundle.pem": 0o644,
    }


def test_the_umask_opens_nothing(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        made = create_store(tmp_path / "ca", "shop.example", NOW)
        made.renew_intermediate(NOW)
    finally:
        os.umask(former)
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.folder.glob("*.key")} == {0o600}


def test_what_was_made_is_opened_and_issues(ca: Store, trusted: Trusted) -> None:
    opened = open_store(ca.folder)
    assert opened.state == ca.state
    assert trusted(issue(opened), ca.bundle())
    assert ca.bundle() == (ca.folder / "bundle.pem").read_bytes()


@pytest.mark.parametrize("name", ["", "ca.json", "intermediate-1.key"])
def test_what_others_could_read_is_refused(ca: Store, name: str) -> None:
    path = ca.folder / name if name else ca.folder
    path.chmod(path.stat().st_mode | 0o040)
    with pytest.raises(IdentityError, match="others than its owner") as error:
        issue(open_store(ca.folder))
    assert f"chmod {'600' if name else '700'} {path}" in str(error.value)


def test_what_belongs_to_another_is_refused(ca: Store) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(ca.folder / "intermediate-1.key", 12345, -1)
    with pytest.raises(IdentityError, match="12345, who could change it"):
        issue(open_store(ca.folder))


def test_a_ca_is_never_made_over_another(ca: Store) -> None:
    before = contents(ca.folder)
    with pytest.raises(IdentityError, match="already"):
        create_store(ca.folder, "shop.example", NOW)
    assert contents(ca.folder) == before
    assert list(ca.folder.parent.iterdir()) == [ca.folder]


def test_a_ca_is_never_made_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "mine").write_text("mine")
    with pytest.raises(IdentityError, match="empty it"):
        create_store(tmp_path / "ca", "shop.example", NOW)
    assert contents(tmp_path / "ca") == {"mine": b"mine"}
    assert [path.name for path in tmp_path.iterdir()] == ["ca"]


def test_an_empty_directory_becomes_one_with_the_right_mode(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir(mode=0o755)
    made = create_store(tmp_path / "ca", "shop.example", NOW)
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700


def test_where_there_is_none_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="tulle ca init"):
        open_store(tmp_path)
    with pytest.raises(IdentityError, match="No such file"):
        open_store(tmp_path / "none")


@pytest.mark.parametrize("text", [b"", b"{}", b'{"trust_domain": 1}', b"\xff"])
def test_a_damaged_state_is_told(ca: Store, text: bytes) -> None:
    write(ca.folder / "ca.json", text)
    with pytest.raises(IdentityError, match=r"ca\.json: is damaged"):
        open_store(ca.folder)


def test_damaged_certificates_and_keys_are_told(ca: Store) -> None:
    good = (ca.folder / "intermediate-1.key").read_bytes()
    write(ca.folder / "intermediate-1.key", good[:50])
    with pytest.raises(IdentityError, match=r"intermediate-1\.key: it is damaged"):
        issue(ca)
    write(ca.folder / "intermediate-1.key", (ca.folder / "root-1.key").read_bytes())
    with pytest.raises(IdentityError, match="is not the key of"):
        issue(ca)
    write(ca.folder / "intermediate-1.pem", b"hello")
    with pytest.raises(IdentityError, match=r"intermediate-1\.pem: is damaged"):
        issue(ca)


def test_a_longer_life_than_the_ca_gives_is_refused(ca: Store) -> None:
    with pytest.raises(IdentityError, match="30 days at most"):
        ca.issue(Request(keys.generate().public_key()), WEB, NOW, 31 * DAY)


def test_a_new_intermediate_signs_and_the_old_ones_stay_valid(ca: Store, trusted: Trusted) -> None:
    before = issue(ca)
    ca.renew_intermediate(NOW)
    after = issue(ca)
    assert after.split(b"-----BEGIN")[2] != before.split(b"-----BEGIN")[2]
    assert trusted(before, ca.bundle())
    assert trusted(after, ca.bundle())


def test_the_root_key_is_needed_to_rotate_only(ca: Store, tmp_path: Path) -> None:
    (ca.folder / "root-1.key").rename(tmp_path / "kept elsewhere")
    assert issue(open_store(ca.folder))
    with pytest.raises(IdentityError, match=r"root-1\.key: cannot be read"):
        open_store(ca.folder).renew_intermediate(NOW)
    assert issue(open_store(ca.folder))


def test_at_no_step_of_a_new_root_is_somebody_not_trusted(ca: Store, trusted: Trusted) -> None:
    """Certificates and bundles of neighbouring steps are in use at the same time."""
    bundles, leaves = [ca.bundle()], [issue(ca)]
    later = NOW + store.LONGEST_LEAF_LIFE
    for step in ("add", "use"):
        ca.change_root(step, NOW)  # type: ignore[arg-type]
        bundles.append(ca.bundle())
        leaves.append(issue(ca))
    old, both, same = bundles
    assert both == same != old
    for leaf in leaves[:2]:
        assert all(trusted(leaf, bundle) for bundle in bundles)
    assert trusted(leaves[2], both)
    assert not trusted(leaves[2], old)  # why `use` waits until all bundles have both
    ca.change_root("drop", later)
    assert trusted(leaves[2], ca.bundle())
    assert not trusted(leaves[0], ca.bundle())
    assert (ca.folder / "bundle.pem").read_bytes() == ca.bundle()
    assert [one.role for one in ca.shown()] == ["signing root", "intermediate"]


def test_the_steps_have_an_order(ca: Store) -> None:
    for wrong in ("use", "drop"):
        with pytest.raises(IdentityError, match="the next step is `add`"):
            ca.change_root(wrong, NOW)  # type: ignore[arg-type]
    ca.change_root("add", NOW)
    for wrong in ("add", "drop"):
        with pytest.raises(IdentityError, match="the next step is `use`"):
            ca.change_root(wrong, NOW)  # type: ignore[arg-type]
    ca.change_root("use", NOW)
    with pytest.raises(IdentityError, match="may be alive for another 29 days"):
        ca.change_root("drop", NOW + 10)
    assert len(open_store(ca.folder).state.roots) == 2
    ca.change_root("drop", NOW + 10, force=True)
    assert open_store(ca.folder).state.roots == ("root-2",)


@pytest.mark.parametrize("breaks_at", range(1, 6))
def test_a_change_that_breaks_off_changes_nothing(
    ca: Store, monkeypatch: pytest.MonkeyPatch, breaks_at: int, trusted: Trusted
) -> None:
    """Whichever write does not happen any more, what is there can be used, and the change be done again."""
    write_file, count = disk.write, 0

    def broken(*arguments: object) -> None:
        nonlocal count
        count += 1
        if count == breaks_at:
            raise IdentityError("no power")
        write_file(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(disk, "write", broken)
    for step in ("add", "use"):
        try:
            ca.change_root(step, NOW)  # type: ignore[arg-type]
        except IdentityError:
            break
    monkeypatch.undo()
    opened = open_store(ca.folder)
    assert trusted(issue(opened), opened.bundle())
    turns = {(1, False): "add", (2, False): "use", (2, True): "drop"}
    while True:
        state = opened.state
        turn = turns[len(state.roots), len(state.roots) > 1 and state.signing_root == state.roots[-1]]
        if turn == "drop":
            break
        opened.change_root(turn, NOW)  # type: ignore[arg-type]
    assert trusted(issue(open_store(ca.folder)), opened.bundle())
    assert (ca.folder / "bundle.pem").read_bytes() == opened.bundle()


def test_a_file_is_written_whole_or_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    disk.write(path, b"old")
    tmp_path.joinpath("a.key").chmod(0o644)
    disk.write(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o600)
    with pytest.raises(IdentityError, match="cannot be written"):
        disk.write(tmp_path / "none" / "a.key", b"new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IdentityError, match="cannot be written"):
        disk.write(tmp_path / "folder", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.key", "folder"]
