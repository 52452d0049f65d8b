"""The sheets of evidence there are, by name. A further one is its mechanism's `sheet.py` and a line here."""

from __future__ import annotations

from marketplace.linkage.mechanisms.contract_farming.sheet import WEIGH_SLIPS
from marketplace.linkage.mechanisms.employment.sheet import ATTENDANCE
from marketplace.linkage.mechanisms.land_transfer.sheet import RENTS
from marketplace.linkage.mechanisms.production_trusteeship.sheet import YIELDS
from marketplace.linkage.sheet_format import SheetFormat

SHEETS: dict[str, SheetFormat] = {one.name: one for one in (WEIGH_SLIPS, ATTENDANCE, YIELDS, RENTS)}
