"""Everything the emulator knows: rows by kind and id, in the order they were made.

With a file, each change is appended to it as one line of JSON and read back at the start, so a demo survives
a restart and a crash loses nothing. Holding `lock` is the caller's part: whole calls run under it.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

from marketplace.payments.stripe_emulator.faults import Json, missing

NOUNS = {
    "cs_": "checkout.session",
    "pi_": "payment_intent",
    "ch_": "charge",
    "re_": "refund",
    "txn_": "balance_transaction",
    "dp_": "dispute",
    "po_": "payout",
    "acct_": "account",
    "tr_": "transfer",
    "trr_": "transfer_reversal",
    "evt_": "event",
}


class Store:
    """Rows are plain dictionaries with an `id`; a row that changed is put again."""

    def __init__(self, path: Path | None = None) -> None:
        self.lock = threading.RLock()
        self._rows: dict[str, dict[str, Json]] = {}
        self._journal: TextIOWrapper | None = None
        if path is not None:
            self._open_journal(path)

    def put(self, kind: str, row: Json) -> Json:
        """Keep `row` under its id, new or changed."""
        self._rows.setdefault(kind, {})[row["id"]] = row
        if self._journal is not None:
            self._journal.write(json.dumps([kind, row], ensure_ascii=False) + "\n")
            self._journal.flush()
        return row

    def find(self, kind: str, key: str) -> Json | None:
        """The row, or None."""
        return self._rows.get(kind, {}).get(key)

    def one(self, kind: str, key: str, param: str = "id") -> Json:
        """The row. Raises the 404 of an unknown id, naming the parameter that held it."""
        row = self.find(kind, key)
        if row is None:
            raise missing(kind.replace("checkout.session", "checkout session").replace("_", " "), key, param)
        return row

    def newest_first(self, kind: str) -> Iterator[Json]:
        """All rows of a kind."""
        return reversed(list(self._rows.get(kind, {}).values()))

    def clear(self) -> None:
        """Forget everything, in the file too."""
        self._rows.clear()
        if self._journal is not None:
            self._journal.truncate(0)

    def close(self) -> None:
        """Let go of the file."""
        if self._journal is not None:
            self._journal.close()

    def _open_journal(self, path: Path) -> None:
        """Read the file, write it anew with the last state of each row, and keep it open for what follows."""
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    kind, row = json.loads(line)
                except ValueError:  # the line that was being written when the machine stopped
                    continue
                self._rows.setdefault(kind, {})[row["id"]] = row
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(path.suffix + ".new")
        with fresh.open("w", encoding="utf-8") as out:
            for kind, rows in self._rows.items():
                out.writelines(json.dumps([kind, row], ensure_ascii=False) + "\n" for row in rows.values())
        fresh.replace(path)
        self._journal = path.open("a", encoding="utf-8")


def new_id(prefix: str) -> str:
    """An id in Stripe's manner, e.g. `cs_test_` and 24 letters and digits."""
    return f"{prefix}{secrets.token_hex(12)}"


def kind_of(key: str) -> str | None:
    """Which kind of row an id names, by its prefix."""
    return next((noun for prefix, noun in NOUNS.items() if key.startswith(prefix)), None)
