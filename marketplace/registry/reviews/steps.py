"""Configuring the steps of a review in a jurisdiction. Data of a place: a county may add or drop steps.

Cases that are open keep the steps they began with. Without steps of its own a place follows the one above it; the
province always has some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.identity.permissions import Permission
from marketplace.identity.trail import record_trail
from marketplace.registry.models import Region
from marketplace.registry.reviews.models import ReviewKind, ReviewStep, StepKind

PROVINCE = "36"
REVIEWERS = (Role.VILLAGE_REVIEWER, Role.TOWNSHIP_REVIEWER, Role.COUNTY_REVIEWER)
MAX_STEPS = 6
MAX_NOTICE_DAYS = 60


@dataclass(frozen=True)
class StepDraft:
    """A step to be: what it is called in both languages, who holds it, and for a notice how many days it lasts."""

    name_zh: str
    name_en: str
    role: Role
    notice_days: int = 0

    @property
    def step(self) -> StepKind:
        """A step with days is a notice."""
        return StepKind.PUBLIC_NOTICE if self.notice_days else StepKind.DECISION


def configured_steps(session: Session, kind: ReviewKind, region_code: str) -> list[ReviewStep]:
    """The steps a place has of its own, in their order; empty when it follows the place above it."""
    query = select(ReviewStep).where(ReviewStep.kind == kind, ReviewStep.region_code == region_code)
    return list(session.scalars(query.order_by(ReviewStep.position)))


@dataclass(frozen=True)
class PlaceSteps:
    """The steps a place has of its own for one kind of review, in their order."""

    kind: ReviewKind
    region: Region
    steps: list[ReviewStep]


def places_with_steps(session: Session) -> list[PlaceSteps]:
    """Every kind and place that has steps of its own, from the province down; at most some hundreds."""
    query = (
        select(ReviewStep, Region)
        .join(Region, Region.code == ReviewStep.region_code)
        .order_by(ReviewStep.kind.desc(), Region.code, ReviewStep.position)
        .limit(500 * MAX_STEPS)
    )
    groups = groupby(session.execute(query), key=lambda row: (row[0].kind, row[1]))
    return [PlaceSteps(kind, region, [step for step, _ in rows]) for (kind, region), rows in groups]


def set_review_steps(
    session: Session, actor: Actor, *, kind: ReviewKind, region_code: str, steps: Sequence[StepDraft]
) -> list[ReviewStep]:
    """Give a place steps of its own, instead of those it had; none at all = follow the place above it.

    For the operator. Raises Refused when nobody would decide, a step has no name or days that cannot be, or a role
    does not review, and when the province would be left without.
    """
    actor.require(Permission.MANAGE_USERS)
    region = session.get(Region, region_code)
    if region is None:
        raise Refused("unknown_place", N_("没有这个地方，请重新选择"), field="region_code")
    _check(region, steps)
    session.execute(delete(ReviewStep).where(ReviewStep.kind == kind, ReviewStep.region_code == region.code))
    rows = [
        ReviewStep(
            kind=kind,
            region_code=region.code,
            position=position,
            step=draft.step,
            name_zh=draft.name_zh.strip(),
            name_en=draft.name_en.strip(),
            role=draft.role,
            notice_days=draft.notice_days,
        )
        for position, draft in enumerate(steps, start=1)
    ]
    session.add_all(rows)
    session.flush()
    record_trail(
        session,
        actor,
        "reviews.set_steps",
        subject=("region", region.code),
        county_code=region.code[:6] if len(region.code) >= 6 else None,
        kind=kind.value,
        steps=len(rows),
    )
    return rows


def _check(region: Region, steps: Sequence[StepDraft]) -> None:
    if not steps and region.code == PROVINCE:
        raise Refused("province_without_steps", N_("全省的步骤不能清空，否则没有规定的地方无法审核"))
    if len(steps) > MAX_STEPS:
        raise Refused("too_many_steps", N_("最多 %(most)s 个步骤"), most=MAX_STEPS)
    if steps and all(draft.notice_days for draft in steps):
        raise Refused("nobody_decides", N_("至少要有一个由人审核的步骤，不能只有公示"))
    for number, draft in enumerate(steps, start=1):
        if not 1 <= len(draft.name_zh.strip()) <= 40 or not 1 <= len(draft.name_en.strip()) <= 60:
            raise Refused("step_name", N_("第 %(number)s 步缺少中文或英文名称"), number=number)
        if draft.role not in REVIEWERS:
            raise Refused("step_role", N_("第 %(number)s 步的岗位不是审核岗位"), number=number)
        if not 0 <= draft.notice_days <= MAX_NOTICE_DAYS:
            raise Refused(
                "step_days",
                N_("第 %(number)s 步的公示天数应为 1 到 %(most)s 天"),
                number=number,
                most=MAX_NOTICE_DAYS,
            )
