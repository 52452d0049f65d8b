"""Encryption at rest and lookup by keyed hash.

AES-256-GCM with a key id in front and the context "table.column:row" bound in as associated data, so that a value
copied to another row or column does not open. Equal values are found through an HMAC, because a bare hash of an
18-digit number is reversible by trying them all.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
KEY_ID = b"\x01"


@dataclass(frozen=True)
class DataKey:
    """The deployment's data key (`DATA_KEY`, 64 hexadecimal digits), from which both sub-keys are derived."""

    encryption: bytes
    lookup: bytes

    @classmethod
    def from_hex(cls, text: str) -> DataKey:
        """Derive the sub-keys. Raises ValueError when `text` is not 32 bytes of hexadecimal."""
        root = bytes.fromhex(text)
        if len(root) != 32:
            raise ValueError("DATA_KEY must be 64 hexadecimal digits")
        return cls(
            encryption=hmac.digest(root, b"encryption v1", "sha256"),
            lookup=hmac.digest(root, b"lookup v1", "sha256"),
        )

    def seal(self, plaintext: str | bytes, *, context: str) -> bytes:
        """Encrypt for `context` ("table.column:row")."""
        data = plaintext.encode() if isinstance(plaintext, str) else plaintext
        nonce = os.urandom(NONCE_BYTES)
        return KEY_ID + nonce + AESGCM(self.encryption).encrypt(nonce, data, context.encode())

    def open_bytes(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt. Raises cryptography's InvalidTag when the value or its context was changed."""
        if sealed[:1] != KEY_ID:
            raise ValueError("sealed with an unknown key")
        nonce, data = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        return AESGCM(self.encryption).decrypt(nonce, data, context.encode())

    def open(self, sealed: bytes, *, context: str) -> str:
        """Decrypt text."""
        return self.open_bytes(sealed, context=context).decode()

    def blind_index(self, value: str, *, column: str) -> bytes:
        """The keyed hash under which an equal `value` of `column` is found."""
        return hmac.digest(self.lookup, f"{column}\x00{value}".encode(), hashlib.sha256)
