"""What the operator does for government bodies: open them at a place. Their jurisdiction is that place.

Their people are added with `identity.colleagues.add_user`.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import Organisation, OrganisationKind
from marketplace.identity.permissions import Permission
from marketplace.identity.rules import open_organisation
from marketplace.identity.trail import record_trail
from marketplace.registry.models import Region

MAX_NAME = 120


def register_office(session: Session, actor: Actor, *, name: str, region_code: str) -> Organisation:
    """Open a government body at a place of any level. For the operator. Raises Refused, also for one there already."""
    actor.require(Permission.MANAGE_USERS)
    name = " ".join(name.split())
    if not 2 <= len(name) <= MAX_NAME:
        raise Refused("text_length", N_("请填写这一项，2 到 %(most)s 个字"), field="name", most=MAX_NAME)
    if session.get(Region, region_code) is None:
        raise Refused("unknown_place", N_("没有这个地方，请重新选择"), field="region_code")
    same = select(Organisation.id).where(
        Organisation.kind == OrganisationKind.GOVERNMENT,
        Organisation.name == name,
        Organisation.region_code == region_code,
    )
    if session.scalar(same):
        raise Refused("office_known", N_("这个地方已经有同名的单位"), field="name")
    office = open_organisation(session, kind=OrganisationKind.GOVERNMENT, name=name, region_code=region_code)
    record_trail(
        session,
        actor,
        "registry.register_office",
        subject=("organisation", office.public_no),
        county_code=region_code[:6] if len(region_code) >= 6 else None,
    )
    return office
