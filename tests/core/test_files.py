"""Files by content: kept once, sealed where personal, never outside their folder."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from marketplace.core.files import FileStore

PHOTO = b"\x89PNG a photo"


def test_the_same_content_is_kept_once(files: FileStore):
    first, second = files.put(PHOTO), files.put(PHOTO)
    assert first == second == hashlib.sha256(PHOTO).hexdigest() == files.address_of(PHOTO)
    assert files.read(first) == PHOTO
    assert files.path_of(first).read_bytes() == PHOTO
    assert len([path for path in files.root.rglob("*") if path.is_file()]) == 1


def test_a_sealed_file_tells_nothing_by_its_name_or_bytes(files: FileStore):
    address = files.put(PHOTO, sealed=True)
    assert address != hashlib.sha256(PHOTO).hexdigest()
    assert PHOTO not in files.path_of(address).read_bytes()
    assert files.read(address, sealed=True) == PHOTO
    assert files.put(PHOTO, sealed=True) == address == files.address_of(PHOTO, sealed=True)


def test_writers_of_the_same_content_do_not_disturb_each_other(files: FileStore):
    content = PHOTO * 100_000
    with ThreadPoolExecutor(8) as writers:
        addresses = set(writers.map(lambda _: files.put(content), range(16)))
    assert [files.read(address) for address in addresses] == [content]
    assert len([path for path in files.root.rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize("address", ["", "../../etc/passwd", "a" * 63, "A" * 64, "/" * 64, "0" * 64])
def test_what_is_no_address_of_a_file_is_not_found(files: FileStore, address: str):
    with pytest.raises(FileNotFoundError):
        files.read(address)
