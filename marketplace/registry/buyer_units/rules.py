"""What the operator does for buyer units: register them and correct their facts.

Their people are added with `identity.colleagues.add_user`; that one person may not both order and approve the same
order is kept by the approval itself.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import OrganisationKind
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import open_organisation
from marketplace.identity.trail import record_trail
from marketplace.registry.fields import check_phone, in_field
from marketplace.registry.identifiers import COOPERATIVE_PREFIX, check_uscc
from marketplace.registry.models import BuyerUnit, Region, RegionLevel, UnitKind


def register_buyer_unit(
    session: Session,
    actor: Actor,
    *,
    name: str,
    kind: UnitKind,
    uscc: str,
    county_code: str,
    address: str,
    contact_name: str,
    contact_phone: str,
) -> BuyerUnit:
    """Register a unit whose canteen buys, with its organisation. For the operator.

    Raises Refused for anything malformed (the credit code with the exact reason) or a code that is registered already.
    """
    actor.require(Permission.MANAGE_USERS)
    unit = BuyerUnit(kind=kind)
    _take_facts(session, unit, name, uscc, county_code, address, contact_name, contact_phone)
    organisation = open_organisation(
        session, kind=OrganisationKind.BUYER_UNIT, name=unit.name, region_code=unit.county_code
    )
    unit.id = organisation.id
    session.add(unit)
    session.flush()
    _trail(session, actor, "registry.register_buyer_unit", unit)
    return unit


def change_buyer_unit(
    session: Session,
    actor: Actor,
    unit: BuyerUnit,
    *,
    name: str,
    kind: UnitKind,
    uscc: str,
    county_code: str,
    address: str,
    contact_name: str,
    contact_phone: str,
) -> BuyerUnit:
    """Correct the facts of a unit. Raises as register_buyer_unit."""
    actor.require(Permission.MANAGE_USERS)
    unit.kind = kind
    _take_facts(session, unit, name, uscc, county_code, address, contact_name, contact_phone)
    unit.organisation.name = unit.name
    unit.organisation.region_code = unit.county_code
    session.flush()
    session.expire(unit, ["county"])
    _trail(session, actor, "registry.change_buyer_unit", unit)
    return unit


def _take_facts(
    session: Session,
    unit: BuyerUnit,
    name: str,
    uscc: str,
    county_code: str,
    address: str,
    contact_name: str,
    contact_phone: str,
) -> None:
    texts = {"name": name, "address": address, "contact_name": contact_name}
    limits = {"name": 120, "address": 200, "contact_name": 60}
    for field, text in texts.items():
        texts[field] = " ".join(text.split())
        if not 2 <= len(texts[field]) <= limits[field]:
            raise Refused(
                "text_length", N_("请填写这一项，2 到 %(most)s 个字"), field=field, most=limits[field]
            )
    unit.uscc = _free_code(session, unit, uscc)
    county = session.get(Region, county_code)
    if county is None or county.level is not RegionLevel.COUNTY:
        raise Refused("unknown_county", N_("请选择单位所在的县（市、区）"), field="county_code")
    unit.county_code = county.code
    unit.name, unit.address, unit.contact_name = texts["name"], texts["address"], texts["contact_name"]
    unit.contact_phone = in_field("contact_phone", check_phone, contact_phone)


def _free_code(session: Session, unit: BuyerUnit, uscc: str) -> str:
    number = in_field("uscc", check_uscc, uscc)
    if number.startswith(COOPERATIVE_PREFIX):
        raise Refused(
            "uscc_of_cooperative", N_("以 93 开头的是合作社的代码，不能登记为采购单位"), field="uscc"
        )
    with session.no_autoflush:
        holder = session.scalar(select(BuyerUnit.id).where(BuyerUnit.uscc == number))
    if holder is not None and holder != unit.id:
        raise Refused("uscc_taken", N_("这个统一社会信用代码已经登记为采购单位"), field="uscc")
    return number


def _trail(session: Session, actor: Actor, action: str, unit: BuyerUnit) -> None:
    record_trail(
        session,
        actor,
        action,
        subject=("buyer_unit", unit.public_no),
        buyer_unit_id=unit.id,
        county_code=unit.county_code,
        kind=unit.kind.value,
    )
