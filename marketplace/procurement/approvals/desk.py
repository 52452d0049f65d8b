"""What the pages show of an order's approval: its steps, who decided, the budget behind it, what the reader may do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marketplace.core.clock import today
from marketplace.identity.access import current_actor
from marketplace.identity.actors import Actor
from marketplace.ordering.forms import ReasonForm
from marketplace.ordering.models import Order
from marketplace.procurement.approvals.forms import DecisionForm
from marketplace.procurement.approvals.queries import standings_of, stands_for
from marketplace.procurement.approvals.standing import Bar, Stand, Standing
from marketplace.procurement.budgets.models import BudgetLine
from marketplace.procurement.budgets.queries import Balance, balances, lines_named, lines_of, year_of
from marketplace.web.transaction import current_session


@dataclass(frozen=True)
class Approval:
    """One order as its approver sees it. `balance` is that of its budget line, which counts the order already;
    `choices` are the lines it may still name when its unit keeps budgets and it names none."""

    order: Order
    standing: Standing
    found: Stand | Bar | None
    balance: Balance | None
    choices: tuple[BudgetLine, ...]
    approve_form: DecisionForm
    reject_form: ReasonForm

    @property
    def may_approve(self) -> bool:
        """Whether the reader may take the step that waits."""
        return isinstance(self.found, Stand) and not self.lacks_budget

    @property
    def may_reject(self) -> bool:
        """Whether the reader may turn the order down: a limit, or a later step, does not keep from that."""
        return isinstance(self.found, Stand) or self.found in (Bar.OVER_LIMIT, Bar.NEEDED_LATER)

    @property
    def lacks_budget(self) -> bool:
        """Whether a budget line must be named first."""
        return self.balance is None and bool(self.choices)

    @property
    def on_behalf_of(self) -> str:
        """In whose name the reader would decide; empty for the own."""
        stand = self.found
        return stand.authority.name if isinstance(stand, Stand) and stand.deputy_on else ""

    @property
    def bar(self) -> Bar | None:
        """Why the reader may not approve."""
        return self.found if isinstance(self.found, Bar) else None


def approvals_of(actor: Actor, orders: Sequence[Order]) -> list[Approval]:
    """The approval of each of a unit's orders, for the actor, in a number of statements that does not grow."""
    if not orders:
        return []
    session, unit_id = current_session(), orders[0].buyer_unit_id or 0
    standings = standings_of(session, unit_id, orders)
    own = actor.buyer_unit_id == unit_id
    deputy_for = stands_for(session, actor.user_id, today()) if own else []
    named = lines_named(session, [order.id for order in orders])
    shown = {
        one.line.id: one
        for one in balances(session, list({line.id: line for line in named.values()}.values()))
    }
    years = {year_of(order) for order in orders if order.id not in named}
    choices = {year: tuple(session.scalars(lines_of(unit_id, year))) for year in years}
    rows = []
    for order in orders:
        standing = standings[order.id]
        line = named.get(order.id)
        approve_form, reject_form = DecisionForm(formdata=None), ReasonForm(formdata=None)
        approve_form.note.id, reject_form.reason.id = f"note-{order.public_no}", f"reason-{order.public_no}"
        rows.append(
            Approval(
                order,
                standing,
                standing.stand_of(actor.user_id or 0, deputy_for, today())
                if own and standing.next_step
                else None,
                shown[line.id] if line else None,
                () if line else choices[year_of(order)],
                approve_form,
                reject_form,
            )
        )
    return rows


def approval_of(order: Order) -> Approval | None:
    """The approval of a unit's order for the reader of this page; None for a personal order."""
    if order.buyer_unit_id is None:
        return None
    return approvals_of(current_actor(), [order])[0]
