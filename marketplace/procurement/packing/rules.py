"""Confirming and shipping many parts at once: each by its own rule, what is refused keeps none of the others back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, DomainError, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.ordering.models import OrderPart
from marketplace.ordering.queries import part_by_no
from marketplace.ordering.rules import confirm_part
from marketplace.ordering.states import PartState
from marketplace.procurement.packing.queries import MOST_PARTS
from marketplace.procurement.receiving.rules import ship_goods

FORMULA = "="  # stands for a cell that holds one


@dataclass(frozen=True)
class Waybill:
    """Who carries a part, under which number. `row` is where it was typed."""

    row: int
    part_no: str
    carrier: str
    waybill_no: str = ""


@dataclass
class Outcome:
    """What came of many: the numbers done now, those done before in the same way, and what was refused, by row."""

    done: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    refused: dict[int, DomainError] = field(default_factory=dict)


def confirm_parts(session: Session, actor: Actor, part_nos: Sequence[str]) -> Outcome:
    """Confirm these parts; those that cannot be confirmed say why."""
    _require_few(part_nos)

    def confirm(part: OrderPart) -> None:
        confirm_part(session, actor, part)

    rows = enumerate(dict.fromkeys(part_nos), start=1)
    return _each(session, actor, ((row, number, confirm, _is_confirmed) for row, number in rows))


def ship_parts(session: Session, actor: Actor, waybills: Sequence[Waybill]) -> Outcome:
    """Ship these parts. One that was shipped before under the same carrier and number counts as done before, so that
    the same sheet may be sent twice. Raises Refused for none or for too many."""
    _require_few(waybills)
    twice = _numbers_twice(waybills)

    def shipping(one: Waybill) -> Callable[[OrderPart], None]:
        def ship(part: OrderPart) -> None:
            if one.row in twice:
                raise Refused(
                    "order_twice", N_("和第 %(first)s 行是同一张订单"), field="part_no", first=twice[one.row]
                )
            if FORMULA in (one.carrier.strip(), one.waybill_no.strip()):
                raise Refused("formula_cell", N_("这一格是公式，请改成文字再提交"), field="carrier")
            ship_goods(session, actor, part, carrier=one.carrier, waybill_no=one.waybill_no)

        return ship

    def shipped(one: Waybill) -> Callable[[OrderPart], bool]:
        return lambda part: (
            part.shipped_at is not None
            and (part.carrier, part.waybill_no) == (one.carrier.strip(), one.waybill_no.strip())
        )

    return _each(session, actor, ((one.row, one.part_no, shipping(one), shipped(one)) for one in waybills))


Deed = tuple[int, str, Callable[[OrderPart], None], Callable[[OrderPart], bool]]


def _each(session: Session, actor: Actor, deeds: Iterable[Deed]) -> Outcome:
    outcome = Outcome()
    for row, number, do, is_done in deeds:
        try:
            part = part_by_no(session, actor, number)
            if is_done(part):
                outcome.before.append(number)
                continue
            with session.begin_nested():
                do(part)
        except NotFound:
            outcome.refused[row] = Conflict(
                "no_such_order", N_("没有编号为 %(no)s 的订单，请核对"), field="part_no", no=number[:20]
            )
        except DomainError as error:
            outcome.refused[row] = error
        else:
            outcome.done.append(number)
    session.flush()
    return outcome


def _is_confirmed(part: OrderPart) -> bool:
    return part.state is PartState.CONFIRMED


def _require_few(rows: Sequence[object]) -> None:
    if not rows:
        raise Refused("nothing_chosen", N_("请至少选一张订单"))
    if len(rows) > MOST_PARTS:
        raise Refused("too_many", N_("一次最多办理 %(most)s 张订单，请分几次"), most=MOST_PARTS)


def _numbers_twice(waybills: Sequence[Waybill]) -> dict[int, int]:
    """The row that named the same part first, by the row that named it again."""
    first: dict[str, int] = {}
    return {
        one.row: first[one.part_no] for one in waybills if first.setdefault(one.part_no, one.row) != one.row
    }
