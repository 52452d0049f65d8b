"""Where the approval of an order stands, worked out from the chain, the limits, the deputies and the decisions. Pure.

The steps of an order are those of its unit's chain whose amount it reaches; a unit without a chain has one step that
any of its approvers may take. Each step needs somebody who did not order, has not decided on this order yet, neither in
person nor through a deputy, and whose limit the amount does not pass.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from marketplace.core.labels import N_, LabelledEnum


class Bar(LabelledEnum):
    """Why somebody may not decide on an order now. The codes are those of the refusals."""

    OWN_ORDER = "own_order", N_("下单人不能审批自己的采购单，请由另一位审批人办理")
    FOR_THE_ORDERER = "for_the_orderer", N_("委托您代办的人正是下单人，不能代他审批这张采购单")
    DECIDED_BEFORE = "decided_before", N_("同一张采购单，一个人只能审批一次，请由另一位审批人办理")
    NOT_NAMED = "not_named", N_("这一步审批没有指定您，请由指定的审批人办理")
    NEEDED_LATER = "needed_later", N_("后面的步骤只有您能审批，这一步请由别人审批，免得采购单卡住")
    OVER_LIMIT = "over_limit", N_("金额超过您的审批限额，请由限额更高的审批人办理")


@dataclass(frozen=True)
class Approver:
    """Somebody who may approve up to `limit_fen` fen (None: without limit)."""

    user_id: int
    name: str
    limit_fen: int | None = None

    def covers(self, amount_fen: int) -> bool:
        """Whether an amount is within the limit."""
        return self.limit_fen is None or amount_fen <= self.limit_fen


@dataclass(frozen=True)
class Step:
    """A step for orders of `from_fen` fen and more, and who may take it."""

    position: int
    from_fen: int
    approvers: tuple[Approver, ...]


@dataclass(frozen=True)
class Decision:
    """A step that was taken, in whose name and by whom."""

    position: int
    approved: bool
    decided_by: int
    authority_id: int
    decider_name: str
    authority_name: str
    note: str
    at: datetime


@dataclass(frozen=True)
class Stand:
    """In whose name somebody may decide: the own one, or that of an approver whose deputy he is on the day."""

    authority: Approver
    deputy_on: date | None = None


@dataclass(frozen=True)
class Standing:
    """The approval of one order: its steps and the decisions so far."""

    amount_fen: int
    ordered_by: int
    chain_id: int | None
    steps: tuple[Step, ...]
    decisions: tuple[Decision, ...] = ()

    @property
    def next_step(self) -> Step | None:
        """The step that waits; None when all are taken or one was refused."""
        if any(not decision.approved for decision in self.decisions):
            return None
        return next((step for step in self.steps if step.position > len(self.decisions)), None)

    @property
    def is_last(self) -> bool:
        """Whether the step that waits is the last."""
        return self.next_step is not None and self.next_step.position == len(self.steps)

    def stand_of(
        self, user_id: int, deputy_for: Collection[int], on: date, *, for_amount: bool = True
    ) -> Stand | Bar:
        """In whose name a person may take the step that waits, the own one first; or why not.

        `deputy_for` are those whose deputy the person is on the day `on`. Turning an order down needs no limit
        (`for_amount` false).
        """
        step = self.next_step
        if user_id == self.ordered_by:
            return Bar.OWN_ORDER
        decided = {one.decided_by for one in self.decisions} | {one.authority_id for one in self.decisions}
        if user_id in decided:
            return Bar.DECIDED_BEFORE
        found = Bar.NOT_NAMED
        approvers = {one.user_id: one for one in step.approvers} if step else {}
        for authority_id in (user_id, *sorted(deputy_for)):
            approver = approvers.get(authority_id)
            if approver is None:
                continue
            if authority_id == self.ordered_by:
                found = Bar.FOR_THE_ORDERER
            elif authority_id in decided:
                found = Bar.DECIDED_BEFORE
            elif for_amount and not approver.covers(self.amount_fen):
                found = Bar.OVER_LIMIT
            elif for_amount and self._is_needed_later(user_id, authority_id):
                found = Bar.NEEDED_LATER
            else:
                return Stand(approver, None if authority_id == user_id else on)
        return found

    def _is_needed_later(self, *persons: int) -> bool:
        """Whether a later step would have nobody once these have taken the one that waits, though others could."""
        return self.step_without_approver() is None and self.step_without_approver(after=persons) is not None

    def step_without_approver(self, *, after: Collection[int] = ()) -> Step | None:
        """The first open step that nobody is left to take, when each needs another person; None when all can be.

        `after` are those who would have taken the step that waits.
        """
        used = (
            {one.decided_by for one in self.decisions}
            | {one.authority_id for one in self.decisions}
            | set(after)
        )
        taken = len(self.decisions) + (1 if after else 0)
        open_steps = [step for step in self.steps if step.position > taken]
        able = {
            step.position: [
                one.user_id
                for one in step.approvers
                if one.user_id != self.ordered_by and one.user_id not in used and one.covers(self.amount_fen)
            ]
            for step in open_steps
        }
        return _first_unmatched(open_steps, able)


def steps_reached(steps: Sequence[Step], amount_fen: int) -> tuple[Step, ...]:
    """The steps of a chain that an order of `amount_fen` fen goes through."""
    return tuple(step for step in steps if step.from_fen <= amount_fen)


def _first_unmatched(steps: Sequence[Step], able: Mapping[int, Sequence[int]]) -> Step | None:
    """The first step that cannot have a person of its own beside those before it (augmenting paths)."""
    holder: dict[int, int] = {}

    def place(position: int, tried: set[int]) -> bool:
        for user_id in able[position]:
            if user_id in tried:
                continue
            tried.add(user_id)
            if user_id not in holder or place(holder[user_id], tried):
                holder[user_id] = position
                return True
        return False

    return next((step for step in steps if not place(step.position, set())), None)
