"""What a recomputation found: how much of each kind was compared, and where stored and recomputed rows differ.

A missing row and a row too many are differences like a changed one. All are counted; only the first are kept, so that
memory stays small however much is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from marketplace.core.labels import N_, LabelledEnum

MOST_KEPT = 20
Facts = tuple[object, ...]  # the amount in fen first, then what else the row says
Numbers = tuple[str, ...]  # the public numbers that lead a person to the row


class Kind(LabelledEnum):
    """What is derived again, in the order in which money comes about."""

    ENTITLEMENT = "entitlement", N_("应得")
    CHARGE = "charge", N_("扣款")
    VOID = "void", N_("应得作废")
    SETTLEMENT = "settlement", N_("结算")
    POOL = "pool", N_("联结资金")
    DISTRIBUTION = "distribution", N_("资金分配")
    CREDIT = "credit", N_("入账")
    ADDITION = "addition", N_("更正补记")
    REVERSAL = "reversal", N_("冲销")
    GUARANTEE = "guarantee", N_("保底")


@dataclass(frozen=True)
class Difference:
    """A row that is not as it should be; `stored` is None for a missing one, `recomputed` for one too many."""

    kind: Kind
    numbers: Numbers
    stored: Facts | None
    recomputed: Facts | None
    names: tuple[str, ...] = ()

    @property
    def stored_fen(self) -> object:
        """What is stored, in fen; None when nothing is."""
        return self.stored[0] if self.stored else None

    @property
    def recomputed_fen(self) -> object:
        """What should be, in fen; None when nothing should."""
        return self.recomputed[0] if self.recomputed else None

    @property
    def other_facts(self) -> list[str]:
        """The names of what differs besides the amount, in rows that are there on both sides."""
        if self.stored is None or self.recomputed is None:
            return []
        pairs = zip(self.names[1:], self.stored[1:], self.recomputed[1:], strict=True)
        return [name for name, stored, recomputed in pairs if stored != recomputed]


@dataclass
class Report:
    """The result of a recomputation."""

    compared: Counter[Kind] = field(default_factory=Counter)
    differing: Counter[Kind] = field(default_factory=Counter)
    first: list[Difference] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differing

    def compare(
        self,
        kind: Kind,
        stored: Facts | None,
        recomputed: Facts | None,
        numbers: Callable[[], Numbers],
        names: tuple[str, ...] = (),
    ) -> None:
        """Count a row and keep its difference, if there is one; `numbers` is asked only then."""
        self.compared[kind] += 1
        if stored == recomputed:
            return
        self.differing[kind] += 1
        if len(self.first) < MOST_KEPT:
            self.first.append(Difference(kind, numbers(), stored, recomputed, names))
