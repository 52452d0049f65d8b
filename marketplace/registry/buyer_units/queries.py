"""Reading buyer units and who holds which of their four duties."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from marketplace.core.errors import NotFound
from marketplace.core.labels import NN_
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role, User, UserRole
from marketplace.identity.permissions import Permission
from marketplace.registry.models import BuyerUnit
from marketplace.web.tasks import Task

DUTIES = (Role.UNIT_ORDERER, Role.UNIT_APPROVER, Role.UNIT_RECEIVER, Role.UNIT_PAYER)
MAX_PEOPLE = 200


def units_visible_to(actor: Actor, *, text: str = "", county_code: str = "") -> Select[BuyerUnit]:
    """The units the actor may read, newest first: all for the operator, the own one for its people.

    `text` is a part of the name or the whole credit code.
    """
    query = select(BuyerUnit).order_by(BuyerUnit.id.desc())
    if not actor.can(Permission.MANAGE_USERS):
        query = query.where(BuyerUnit.id == (actor.buyer_unit_id or 0))
    if text:
        wanted = text.strip()
        query = query.where(
            or_(BuyerUnit.name.contains(wanted, autoescape=True), BuyerUnit.uscc == wanted.upper())
        )
    if county_code:
        query = query.where(BuyerUnit.county_code == county_code)
    return query


def unit_by_no(session: Session, actor: Actor, unit_no: str) -> BuyerUnit:
    """One visible unit. Raises NotFound."""
    unit = session.scalar(units_visible_to(actor).where(BuyerUnit.public_no == unit_no))
    if unit is None:
        raise NotFound
    return unit


def own_unit(session: Session, actor: Actor) -> BuyerUnit:
    """The unit the actor works for. Raises NotFound."""
    unit = session.get(BuyerUnit, actor.buyer_unit_id) if actor.buyer_unit_id else None
    if unit is None:
        raise NotFound
    return unit


def people_of(session: Session, unit: BuyerUnit) -> list[User]:
    """The unit's people with an account, those who left last."""
    query = select(User).where(User.organisation_id == unit.id)
    return list(
        session.scalars(query.order_by(User.disabled_at.is_not(None), User.id).limit(MAX_PEOPLE)).unique()
    )


def vacant_duties(people: Sequence[User]) -> list[Role]:
    """The duties nobody with a working account holds."""
    held = {role for person in people if not person.disabled_at for role in person.role_codes}
    return [duty for duty in DUTIES if duty not in held]


def has_second_pair_of_eyes(people: Sequence[User]) -> bool:
    """Whether every order can be approved: whoever orders, somebody else must approve."""
    working = [person for person in people if not person.disabled_at]
    orderers = {person.id for person in working if Role.UNIT_ORDERER in person.role_codes}
    approvers = {person.id for person in working if Role.UNIT_APPROVER in person.role_codes}
    return bool(orderers) and all(approvers - {orderer} for orderer in orderers)


def vacancies_of(session: Session, unit_ids: Sequence[int]) -> dict[int, int]:
    """How many of the four duties nobody holds, for each unit; in one statement."""
    held = (
        select(User.organisation_id, func.count(UserRole.role.distinct()))
        .join(UserRole, UserRole.user_id == User.id)
        .where(User.organisation_id.in_(unit_ids), User.disabled_at.is_(None), UserRole.role.in_(DUTIES))
        .group_by(User.organisation_id)
    )
    filled = {one: count for one, count in session.execute(held) if one is not None}
    return {one: len(DUTIES) - filled.get(one, 0) for one in unit_ids}


def count_units_with_vacancies(session: Session) -> int:
    """How many units lack somebody for one of the four duties."""
    filled = (
        select(User.organisation_id)
        .join(UserRole, UserRole.user_id == User.id)
        .where(User.disabled_at.is_(None), UserRole.role.in_(DUTIES))
        .group_by(User.organisation_id)
        .having(func.count(UserRole.role.distinct()) == len(DUTIES))
    )
    return session.scalar(select(func.count()).select_from(BuyerUnit).where(BuyerUnit.id.not_in(filled))) or 0


def tasks_of(session: Session, actor: Actor) -> list[Task]:
    """What the operator is to mend: units that cannot buy because a duty is vacant."""
    if not actor.can(Permission.MANAGE_USERS):
        return []
    return [
        Task(
            NN_("%(count)s 个采购单位的岗位还没有配齐"),
            count_units_with_vacancies(session),
            "buyer_units.index",
        )
    ]
