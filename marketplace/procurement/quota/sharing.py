"""Canteens that several units share: one of them proposes and represents, the others agree, then it files for all.

A unit is in one shared canteen a year. Once the canteen has filed, its units stay for that year.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.procurement.quota.models import CanteenSharing, CanteenSharingMember
from marketplace.procurement.quota.queries import cover_of, membership_of
from marketplace.registry.buyer_units.queries import own_unit
from marketplace.registry.models import BuyerUnit

MOST_MEMBERS = 30
NAME_LENGTHS = (2, 60)


def propose_sharing(
    session: Session,
    actor: Actor,
    *,
    name: str,
    credit_codes: Sequence[str],
    representative_code: str,
) -> CanteenSharing:
    """Propose that the units of these credit codes share one canteen this year; the actor's own unit represents them.

    Raises Refused (field named) for an unknown code, a unit that shares or has filed already, a representative that is
    not among the units or not the actor's; Conflict when a unit was taken in elsewhere meanwhile.
    """
    actor.require(Permission.ORDER_FOR_UNIT)
    unit, year = own_unit(session, actor), today().year
    name = " ".join(name.split())
    if not NAME_LENGTHS[0] <= len(name) <= NAME_LENGTHS[1]:
        raise Refused("sharing_name", N_("请填写合用食堂的名称，2 到 60 个字"), field="name")
    units = _units(session, credit_codes)
    representative = representative_code.strip().upper()
    if representative not in {one.uscc for one in units}:
        raise Refused(
            "representative_elsewhere", N_("代表单位须是合用食堂的单位之一"), field="representative_code"
        )
    if representative != unit.uscc:
        raise Refused(
            "representative_not_own", N_("由代表单位自己发起：请选本单位作代表"), field="representative_code"
        )
    if len(units) < 2:
        raise Refused("sharing_alone", N_("合用食堂至少要有两个单位"), field="credit_codes")
    for one in units:
        _check_free(session, one, year)
    sharing = CanteenSharing(year=year, name=name, proposed_by=actor.user_id)
    sharing.members = [
        CanteenSharingMember(
            unit=one,
            year=year,
            is_representative=one.id == unit.id,
            agreed_by=actor.user_id if one.id == unit.id else None,
            agreed_at=now() if one.id == unit.id else None,
        )
        for one in units
    ]
    try:
        with session.begin_nested():
            session.add(sharing)
            session.flush()
    except IntegrityError:
        raise Conflict("shared_meanwhile", N_("其中有单位刚刚加入了别的合用食堂，请核对后再试")) from None
    _trail(session, actor, "procurement.propose_sharing", sharing, members=len(units))
    return sharing


def _units(session: Session, credit_codes: Sequence[str]) -> list[BuyerUnit]:
    codes = list(dict.fromkeys(code.strip().upper() for code in credit_codes if code.strip()))
    if len(codes) > MOST_MEMBERS:
        raise Refused(
            "many_members", N_("合用食堂最多 %(most)s 个单位"), field="credit_codes", most=MOST_MEMBERS
        )
    query = select(BuyerUnit).where(BuyerUnit.uscc.in_(codes)).order_by(BuyerUnit.id)
    units = list(session.scalars(query).unique())
    unknown = sorted(set(codes) - {one.uscc for one in units})
    if unknown:
        raise Refused(
            "unknown_units",
            N_("这些信用代码没有登记为采购单位：%(codes)s"),
            field="credit_codes",
            codes="、".join(unknown),
        )
    return units


def _check_free(session: Session, unit: BuyerUnit, year: int) -> None:
    if membership_of(session, unit.id, year) is not None:
        raise Refused(
            "member_elsewhere",
            N_("“%(name)s”今年已经在一个合用食堂里，一年只能加入一个"),
            field="credit_codes",
            name=unit.name,
        )
    if cover_of(session, unit.id, year) is not None:
        raise Refused(
            "member_has_filed",
            N_("“%(name)s”今年已经单独申报了预留份额，不能再加入合用食堂"),
            field="credit_codes",
            name=unit.name,
        )


def agree_to_sharing(session: Session, actor: Actor) -> CanteenSharingMember:
    """Agree, for the actor's unit, to the canteen it was asked to share this year. Raises NotFound, Conflict."""
    member = _own_membership(session, actor)
    if member.agreed_at is not None:
        raise Conflict("agreed_already", N_("本单位已经同意合用食堂"))
    member.agreed_by, member.agreed_at = actor.user_id, now()
    session.flush()
    _trail(session, actor, "procurement.agree_sharing", member.sharing)
    return member


def leave_sharing(session: Session, actor: Actor) -> None:
    """Decline or leave this year's shared canteen; when the representative does, the canteen is no longer shared.

    Raises NotFound, Refused once it has filed.
    """
    member = _own_membership(session, actor)
    sharing = member.sharing
    representative = next(one for one in sharing.members if one.is_representative)
    cover = cover_of(session, representative.unit_id, sharing.year)
    if cover is not None:
        raise Refused("sharing_filed", N_("合用食堂今年已经申报，今年之内不能退出或解散"))
    _trail(
        session,
        actor,
        "procurement.dissolve_sharing" if member.is_representative else "procurement.leave_sharing",
        sharing,
    )
    if member.is_representative:
        session.execute(delete(CanteenSharingMember).where(CanteenSharingMember.sharing_id == sharing.id))
        session.execute(delete(CanteenSharing).where(CanteenSharing.id == sharing.id))
    else:
        session.execute(delete(CanteenSharingMember).where(CanteenSharingMember.id == member.id))
        session.expire(sharing, ["members"])


def _own_membership(session: Session, actor: Actor) -> CanteenSharingMember:
    actor.require(Permission.ORDER_FOR_UNIT)
    member = membership_of(session, own_unit(session, actor).id, today().year)
    if member is None:
        raise NotFound
    return member


def _trail(
    session: Session, actor: Actor, action: str, sharing: CanteenSharing, members: int | None = None
) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("canteen_sharing", sharing.public_no),
        year=sharing.year,
        members=members,
    )
