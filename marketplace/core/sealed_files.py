"""Files of any length that are written and read piece by piece, each piece encrypted on its own.

A piece is bound to the file's name, its place and whether it is the last, so that pieces cannot be exchanged, left out
or cut off unseen. What is being written has another name until it is complete: a crash leaves no half file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from marketplace.core.crypto import DataKey

PIECE_BYTES = 256 * 1024
LENGTH_BYTES = 4
PART = ".part"


@dataclass(frozen=True)
class SealedFolder:
    """A folder of such files under `root`."""

    root: Path
    data_key: DataKey

    @contextmanager
    def writing(self, name: str) -> Iterator[SealedWriter]:
        """Write the file called `name`; it is there once the block ends well, and nothing is when it does not."""
        self.root.mkdir(parents=True, exist_ok=True)
        path = self._path(name)
        part = path.with_name(path.name + PART)
        try:
            with part.open("wb") as raw:
                writer = SealedWriter(raw, self.data_key, name)
                yield writer
                writer.end()
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def reading(self, name: str) -> BinaryIO:
        """The content of a file as a stream; the reader closes it. Raises FileNotFoundError when there is none."""
        reader = SealedReader(self._path(name).open("rb"), self.data_key, name)
        return io.BufferedReader(reader, PIECE_BYTES)  # type: ignore[type-var]  # any raw stream will do

    def names(self) -> list[str]:
        """The files there are, those being written among them."""
        if not self.root.is_dir():
            return []
        return sorted({path.name.removesuffix(PART) for path in self.root.iterdir()})

    def remove(self, name: str) -> None:
        """Remove a file, complete or not; one that is not there is passed over."""
        path = self._path(name)
        path.unlink(missing_ok=True)
        path.with_name(path.name + PART).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not name or name != Path(name).name or name.startswith("."):
            raise FileNotFoundError(name)
        return self.root / name


def _context(name: str, place: int, *, is_last: bool) -> str:
    return f"sealed_files:{name}:{place}:{'last' if is_last else 'more'}"


class SealedWriter(io.RawIOBase):
    """Takes bytes in order and keeps one piece in memory; `size` is how many it has taken."""

    def __init__(self, raw: BinaryIO, data_key: DataKey, name: str) -> None:
        super().__init__()
        self._raw, self._data_key, self._name = raw, data_key, name
        self._waiting = bytearray()
        self._place = 0
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self._waiting += content
        self.size += len(content)
        while len(self._waiting) > PIECE_BYTES:
            self._seal(bytes(self._waiting[:PIECE_BYTES]), is_last=False)
            del self._waiting[:PIECE_BYTES]
        return len(content)

    def end(self) -> None:
        """Write the last piece; there always is one, if an empty one."""
        self._seal(bytes(self._waiting), is_last=True)
        self._waiting.clear()

    def _seal(self, piece: bytes, *, is_last: bool) -> None:
        sealed = self._data_key.seal(piece, context=_context(self._name, self._place, is_last=is_last))
        self._raw.write(len(sealed).to_bytes(LENGTH_BYTES, "big") + sealed)
        self._place += 1


class SealedReader(io.RawIOBase):
    """Gives the bytes in order, a piece in memory. Raises cryptography's InvalidTag where the file was changed."""

    def __init__(self, raw: BinaryIO, data_key: DataKey, name: str) -> None:
        super().__init__()
        self._raw, self._data_key, self._name = raw, data_key, name
        self._piece = memoryview(b"")
        self._place = 0
        self._length = self._next_length()

    def readable(self) -> bool:
        return True

    def readinto(self, target: bytearray) -> int:  # type: ignore[override]
        while not self._piece and self._length:
            self._open()
        given = min(len(target), len(self._piece))
        target[:given] = self._piece[:given]
        self._piece = self._piece[given:]
        return given

    def close(self) -> None:
        self._raw.close()
        super().close()

    def _next_length(self) -> int:
        return int.from_bytes(self._raw.read(LENGTH_BYTES), "big")

    def _open(self) -> None:
        sealed = self._raw.read(self._length)
        self._length = self._next_length()
        context = _context(self._name, self._place, is_last=not self._length)
        self._piece = memoryview(self._data_key.open_bytes(sealed, context=context))
        self._place += 1
