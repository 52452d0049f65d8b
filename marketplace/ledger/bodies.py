"""The canonical bytes of an entry: what is compared when a key comes again, and what the checks compute again.

A body is JSON with sorted keys and no spaces, so that equal entries have equal bytes. It covers every column of the
entry and its transfers except the surrogate ids; whoever changes one of them in the database breaks the hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

# How and when it was recorded, rather than what happened: a retry may differ in these and is still the same.
RECORDING = frozenset({"actor", "no", "occurred_at", "recorded_at"})
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def canonical_body(
    *,
    public_no: str,
    kind: str,
    idempotency_key: str,
    occurred_at: datetime,
    recorded_at: datetime,
    cooperative_id: int | None,
    subject: tuple[str, int],
    actor_user_id: int | None,
    reverses: int | None,
    reason: str,
    transfers: Iterable[tuple[str, str, int]],
) -> str:
    """The body of an entry; `transfers` are (debit account key, credit account key, fen) in order of position."""
    body = {
        "actor": actor_user_id,
        "cooperative": cooperative_id,
        "key": idempotency_key,
        "kind": kind,
        "no": public_no,
        "occurred_at": _instant(occurred_at),
        "reason": reason,
        "recorded_at": _instant(recorded_at),
        "reverses": reverses,
        "subject": list(subject),
        "transfers": list(transfers),
    }
    return _encode(body)


def content_of(body: str) -> dict[str, Any]:
    """What `body` says happened, without how it was recorded: the part that an idempotency key stands for."""
    return {name: value for name, value in json.loads(body).items() if name not in RECORDING}


def hash_of(salt: bytes, body: str) -> bytes:
    """SHA-256 of the salt (16 bytes) and the body."""
    return hashlib.sha256(salt + body.encode()).digest()


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
