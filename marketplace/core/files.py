"""Files by content: a local store addressed by SHA-256.

The same bytes are kept once. Files that hold personal data are kept sealed; their address is the hash of the plain
bytes under a key, so that the name of a file tells nothing about its content.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from marketplace.core.crypto import DataKey


@dataclass(frozen=True)
class FileStore:
    """A folder of files under `root`, two levels deep."""

    root: Path
    data_key: DataKey

    def put(self, content: bytes, *, sealed: bool = False) -> str:
        """Keep `content`; return its address (64 hexadecimal digits). The same content has the same address."""
        address = self.address_of(content, sealed=sealed)
        path = self._path(address)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")  # one a writer, threads too
            part.write_bytes(self.data_key.seal(content, context=f"files:{address}") if sealed else content)
            part.replace(path)
        return address

    def address_of(self, content: bytes, *, sealed: bool = False) -> str:
        """The address `content` has or would have; keeps nothing."""
        plain = hashlib.sha256(content).hexdigest()
        return self.data_key.blind_index(plain, column="files").hex() if sealed else plain

    def read(self, address: str, *, sealed: bool = False) -> bytes:
        """The bytes at `address`. Raises FileNotFoundError when there are none."""
        content = self._path(address).read_bytes()
        return self.data_key.open_bytes(content, context=f"files:{address}") if sealed else content

    def path_of(self, address: str) -> Path:
        """Where an unsealed file lies, for the web server to send."""
        return self._path(address)

    def _path(self, address: str) -> Path:
        if len(address) != 64 or not all(c in "0123456789abcdef" for c in address):
            raise FileNotFoundError(address)
        return self.root / address[:2] / address
