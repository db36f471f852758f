"""Without former contents files are taken whole or refused; with them each stands for itself."""

from pathlib import Path

import pytest

from tests.controlplane.identity.making import NOW, Made, make, write
from tulle.controlplane.identity.reading import Reader
from tulle.controlplane.problems import ConfigError


class Files:
    """Two pairs and a bundle."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = make("root", ca=True)
        self.ca = write(folder / "ca.pem", self.root)
        self.a, self.b = self.issue("a"), self.issue("b")

    def issue(self, name: str) -> tuple[str, str]:
        made = make(name, self.root, names=(f"DNS:{name}.example",))
        certificate = write(self.folder / f"{name}.pem", made)
        return certificate, write(self.folder / f"{name}.key", made.key_pem)

    def read(self, former: Reader | None = None) -> Reader:
        contents = former and {
            key: (content.certificates, content.key) for key, content in former.contents.items()
        }
        reader = Reader(NOW, contents)
        reader.pair(*self.a, "server")
        reader.pair(*self.b, "server")
        reader.bundle(self.ca)
        return reader


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_what_is_good_is_read(files: Files) -> None:
    reader = files.read()
    assert reader.faults == []
    assert reader.renewed() == []
    assert reader.contents[files.a].facts[0].title == "a.example"
    assert reader.contents[files.ca, ""].certificates == files.root.pem
    assert sorted(reader.stamps) == sorted([*files.a, *files.b, files.ca])


def test_a_file_is_read_once(files: Files) -> None:
    reader = files.read()
    before = reader.pair(*files.a, "server")
    files.issue("a")
    assert reader.pair(*files.a, "server") is before


def test_a_bad_file_refuses_the_whole(files: Files) -> None:
    Path(files.a[1]).write_bytes(Path(files.b[1]).read_bytes())
    with pytest.raises(ConfigError, match=r"the key is not that of a\.example"):
        files.read()


def test_a_bad_pair_keeps_what_it_had_and_others_are_renewed(files: Files) -> None:
    first = files.read()
    files.issue("a")
    Path(files.b[1]).write_text("half")
    Path(files.ca).unlink()
    second = files.read(first)
    assert second.contents[files.a] != first.contents[files.a]
    assert second.contents[files.b] == first.contents[files.b]
    assert second.contents[files.ca, ""] == first.contents[files.ca, ""]
    assert {(fault.code, fault.file) for fault in second.faults} == {
        ("malformed", files.b[1]),
        ("unreadable", files.ca),
    }
    assert second.renewed() == [f"{files.a[0]}: renewed, a.example"]


def test_half_of_a_pair_is_never_used(files: Files) -> None:
    first = files.read()
    other = make("a", files.root, names=("DNS:a.example",))
    for file, content in ((files.a[0], other.pem), (files.a[1], other.key_pem)):
        Path(file).write_bytes(content)
        second = files.read(first)
        used = second.contents[files.a]
        assert (used.certificates, used.key) in (
            (first.contents[files.a].certificates, first.contents[files.a].key),
            (other.pem, other.key_pem),
        )
    assert second.contents[files.a].key == other.key_pem


def test_what_has_no_former_content_refuses(files: Files, tmp_path: Path) -> None:
    first = files.read()
    missing: Made = make("c", files.root)
    with pytest.raises(ConfigError):
        Reader(NOW, {files.a: (first.contents[files.a].certificates, b"")}).pair(
            write(tmp_path / "c.pem", missing), str(tmp_path / "none.key"), "server"
        )


def test_no_secret_is_shown(files: Files) -> None:
    shown = repr(files.read().contents)
    assert "a.example" in shown
    assert "BEGIN" not in shown
