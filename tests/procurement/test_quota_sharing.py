"""Shared canteens: one representative files for all, nobody is in two, and a quota is not filed twice."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, DomainError, NotFound
from marketplace.identity.models import Role
from marketplace.procurement.quota.models import (
    CanteenSharing,
    CanteenSharingMember,
    QuotaCover,
    QuotaFiling,
)
from marketplace.procurement.quota.queries import covered_units, filing_in_force, tasks_of
from marketplace.procurement.quota.sharing import agree_to_sharing, leave_sharing, propose_sharing
from marketplace.registry.models import BuyerUnit
from tests.conftest import HeldClock
from tests.factories.quota import confirmed, filed, quota_rule, shared_canteen
from tests.factories.registry import BuyerUnitFactory, actor_at


@pytest.fixture
def units(session: Session, clock: HeldClock) -> list[BuyerUnit]:
    quota_rule()
    return [BuyerUnitFactory() for _ in range(3)]


def orderer(unit: BuyerUnit):
    return actor_at(unit, Role.UNIT_ORDERER)


def proposing(
    session: Session, unit: BuyerUnit, *codes: str, representative: str = "", name: str = "联合食堂"
):
    return propose_sharing(
        session,
        orderer(unit),
        name=name,
        credit_codes=[unit.uscc, *codes],
        representative_code=representative or unit.uscc,
    )


def counts(session: Session) -> tuple[int, ...]:
    models = (CanteenSharing, CanteenSharingMember, QuotaFiling, QuotaCover)
    return tuple(session.scalar(select(func.count()).select_from(model)) or 0 for model in models)


def refusal(session: Session, act) -> DomainError:
    with pytest.raises(DomainError) as refused, session.begin_nested():
        act()
    return refused.value


def test_a_member_of_another_canteen_is_refused(session: Session, units: list[BuyerUnit]) -> None:
    first, second, third = units
    shared_canteen(session, first, second)
    refused = refusal(session, lambda: proposing(session, third, second.uscc))
    assert (refused.code, refused.field) == ("member_elsewhere", "credit_codes")
    assert second.name in str(refused)
    shared = session.scalars(select(CanteenSharing)).one()
    member = {"sharing_id": shared.id, "year": 2026, "unit_id": second.id, "is_representative": False}
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(CanteenSharingMember), member)
    assert counts(session) == (1, 2, 0, 0)


def test_the_representative_is_one_of_the_members_and_proposes_itself(
    session: Session, units: list[BuyerUnit]
) -> None:
    first, second, third = units
    refused = refusal(session, lambda: proposing(session, first, second.uscc, representative=third.uscc))
    assert (refused.code, refused.field) == ("representative_elsewhere", "representative_code")
    refused = refusal(session, lambda: proposing(session, first, second.uscc, representative=second.uscc))
    assert (refused.code, refused.field) == ("representative_not_own", "representative_code")
    assert counts(session) == (0, 0, 0, 0)


def test_there_is_one_representative_by_the_database(session: Session, units: list[BuyerUnit]) -> None:
    shared_canteen(session, units[0], units[1])
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(CanteenSharingMember).values(is_representative=True))


@pytest.mark.parametrize(
    ("code", "field", "facts"),
    [
        ("sharing_alone", "credit_codes", {}),
        ("unknown_units", "credit_codes", {"codes": ("12361025MB0000000X",)}),
        ("sharing_name", "name", {"name": " "}),
    ],
)
def test_a_canteen_that_cannot_be_shared_is_refused(
    session: Session, units: list[BuyerUnit], code: str, field: str, facts: dict[str, object]
) -> None:
    codes = facts.get("codes", ())
    name = facts.get("name", "联合食堂")
    refused = refusal(session, lambda: proposing(session, units[0], *codes, name=name))
    assert (refused.code, refused.field) == (code, field)
    assert counts(session) == (0, 0, 0, 0)


def test_a_unit_that_filed_alone_cannot_share_any_more(session: Session, units: list[BuyerUnit]) -> None:
    first, second, _ = units
    filed(session, second)
    assert refusal(session, lambda: proposing(session, first, second.uscc)).code == "member_has_filed"
    assert counts(session) == (0, 0, 1, 1)


def test_the_representative_files_once_for_all(session: Session, units: list[BuyerUnit]) -> None:
    first, second, third = units
    shared_canteen(session, first, second, third)
    filing = confirmed(session, first)
    assert covered_units(session, first.id, 2026) == sorted(unit.id for unit in units)
    assert [filing_in_force(session, unit.id, 2026) for unit in units] == [filing] * 3
    assert counts(session) == (1, 3, 1, 3)


def test_a_quota_is_not_filed_twice_by_sharing_canteens(session: Session, units: list[BuyerUnit]) -> None:
    first, second, third = units
    shared_canteen(session, first, second)
    for _ in range(2):  # before and after the representative has filed
        refused = refusal(session, lambda: filed(session, second))
        assert refused.code == "filed_by_representative"
        assert str(refused) == (f"2026 年本单位与“{first.name}”合用食堂，由它统一申报，不能重复申报")
        if counts(session)[2] == 0:
            confirmed(session, first)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(insert(QuotaCover), {"unit_id": second.id, "year": 2026, "filer_id": second.id})
    assert counts(session) == (1, 2, 1, 2)
    confirmed(session, third)
    assert counts(session) == (1, 2, 2, 3)


def test_a_canteen_that_filed_alone_meanwhile_stops_the_representative(
    session: Session, units: list[BuyerUnit]
) -> None:
    first, second, _ = units
    shared_canteen(session, first, second)
    session.add(QuotaCover(unit_id=second.id, year=2026, filer_id=second.id))
    session.flush()
    refused = refusal(session, lambda: filed(session, first))
    assert (type(refused), refused.code) == (Conflict, "filed_twice")
    assert counts(session) == (1, 2, 0, 1)


def test_all_agree_before_the_canteen_files(session: Session, units: list[BuyerUnit]) -> None:
    first, second, third = units
    proposing(session, first, second.uscc, third.uscc)
    agree_to_sharing(session, orderer(second))
    refused = refusal(session, lambda: filed(session, first))
    assert refused.code == "not_agreed"
    assert third.name in str(refused)
    assert refusal(session, lambda: filed(session, third)).code == "invitation_open"
    assert [task.endpoint for task in tasks_of(session, orderer(third))] == ["quota.sharing"]
    assert refusal(session, lambda: agree_to_sharing(session, orderer(second))).code == "agreed_already"
    leave_sharing(session, orderer(third))
    assert filed(session, first).sharing is not None
    assert filed(session, third).sharing is None


def test_nobody_leaves_a_canteen_that_has_filed(session: Session, units: list[BuyerUnit]) -> None:
    first, second, _ = units
    shared_canteen(session, first, second)
    filed(session, first)
    for unit in (first, second):
        assert refusal(session, lambda unit=unit: leave_sharing(session, orderer(unit))).code == (
            "sharing_filed"
        )
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(CanteenSharingMember.__table__.delete())
    assert counts(session) == (1, 2, 1, 2)


def test_the_representative_dissolves_what_has_not_filed(session: Session, units: list[BuyerUnit]) -> None:
    first, second, third = units
    shared_canteen(session, first, second)
    leave_sharing(session, orderer(first))
    assert counts(session) == (0, 0, 0, 0)
    assert isinstance(refusal(session, lambda: leave_sharing(session, orderer(second))), NotFound)
    shared_canteen(session, second, third)
    assert counts(session) == (1, 2, 0, 0)
