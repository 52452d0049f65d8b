"""Files written piece by piece: complete or not there at all; nothing can be cut off, exchanged or read elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from marketplace.core import sealed_files
from marketplace.core.crypto import DataKey
from marketplace.core.sealed_files import SealedFolder


@pytest.fixture
def folder(tmp_path: Path, data_key: DataKey, monkeypatch: pytest.MonkeyPatch) -> SealedFolder:
    """Pieces of eight bytes."""
    monkeypatch.setattr(sealed_files, "PIECE_BYTES", 8)
    return SealedFolder(tmp_path / "sealed", data_key)


def put(folder: SealedFolder, name: str, *pieces: bytes) -> int:
    with folder.writing(name) as target:
        for piece in pieces:
            target.write(piece)
    return target.size


def content(folder: SealedFolder, name: str) -> bytes:
    with folder.reading(name) as stream:
        return stream.read()


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"",),
        (b"1234567",),
        (b"12345678",),
        (b"123456789",),
        (b"1234", b"5678", b"90" * 20),
        (b"x" * 64,),
    ],
)
def test_what_was_written_is_read(folder: SealedFolder, pieces: tuple[bytes, ...]) -> None:
    whole = b"".join(pieces)
    assert put(folder, "DL-1.1", *pieces) == len(whole)
    assert content(folder, "DL-1.1") == whole
    assert folder.names() == ["DL-1.1"]


def test_nothing_readable_lies_on_the_disk(folder: SealedFolder) -> None:
    put(folder, "DL-1.1", "刘小红，12.34 元".encode() * 5)
    assert "刘小红".encode() not in (folder.root / "DL-1.1").read_bytes()


def test_what_fails_half_way_is_not_there(folder: SealedFolder) -> None:
    def fail() -> None:
        with folder.writing("DL-1.1") as target:
            target.write(b"1234567890")
            assert folder.names() == ["DL-1.1"]  # seen by who cleans up, not by who reads
            with pytest.raises(FileNotFoundError):
                folder.reading("DL-1.1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert folder.names() == []
    assert list(folder.root.iterdir()) == []


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_file_that_was_cut_off_does_not_open(folder: SealedFolder, kept: int) -> None:
    put(folder, "DL-1.1", b"12345678" * 4)
    path = folder.root / "DL-1.1"
    piece = path.stat().st_size // 4
    path.write_bytes(path.read_bytes()[: kept * piece])
    with pytest.raises(InvalidTag):
        content(folder, "DL-1.1")


def test_pieces_cannot_change_places_or_files(folder: SealedFolder) -> None:
    put(folder, "DL-1.1", b"12345678" * 2)
    path = folder.root / "DL-1.1"
    whole, half = path.read_bytes(), path.stat().st_size // 2
    path.write_bytes(whole[half:] + whole[:half])
    with pytest.raises(InvalidTag):
        content(folder, "DL-1.1")
    (folder.root / "DL-2.1").write_bytes(whole)
    with pytest.raises(InvalidTag):
        content(folder, "DL-2.1")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden"])
def test_a_name_leads_nowhere_else(folder: SealedFolder, name: str) -> None:
    with pytest.raises(FileNotFoundError), folder.writing(name):
        raise AssertionError
    with pytest.raises(FileNotFoundError):
        folder.reading(name)
    with pytest.raises(FileNotFoundError):
        folder.remove(name)


def test_removing_takes_what_is_complete_and_what_is_not(folder: SealedFolder) -> None:
    put(folder, "DL-1.1", b"1")
    (folder.root / "DL-2.1.part").write_bytes(b"left by a worker that was killed")
    for name in ("DL-1.1", "DL-2.1", "DL-3.1"):
        folder.remove(name)
    assert list(folder.root.iterdir()) == []


def test_a_folder_that_was_never_used_is_empty(folder: SealedFolder) -> None:
    assert folder.names() == []
