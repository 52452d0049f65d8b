"""Reviews: the province's default steps, cases at any of them, and the three people who answer.

`default_steps()` once a test; `CaseFactory()` is a new case of a cooperative of 鳌溪村, `reviewers()` the people who
may decide it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role
from marketplace.registry.models import Cooperative, CooperativeState
from marketplace.registry.reviews.models import Decision, ReviewCase, ReviewKind, ReviewStep, StepKind
from marketplace.registry.reviews.rules import Outcomes, decide_step, open_review
from tests.factories.base import RowFactory
from tests.factories.identity import official_with
from tests.factories.registry import CooperativeFactory, RegionFactory, actor_at

RECOGNITION = ReviewKind.PRODUCT_RECOGNITION
STEPS = (
    (ReviewKind.COOPERATIVE_ENTRY, StepKind.DECISION, "村级初审", "Village check", Role.VILLAGE_REVIEWER, 0),
    (
        ReviewKind.COOPERATIVE_ENTRY,
        StepKind.DECISION,
        "乡镇复核",
        "Township review",
        Role.TOWNSHIP_REVIEWER,
        0,
    ),
    (ReviewKind.COOPERATIVE_ENTRY, StepKind.PUBLIC_NOTICE, "公示", "Public notice", Role.COUNTY_REVIEWER, 7),
    (ReviewKind.COOPERATIVE_ENTRY, StepKind.DECISION, "县级审定", "County decision", Role.COUNTY_REVIEWER, 0),
    (ReviewKind.CERTIFICATE, StepKind.DECISION, "县级审核", "County review", Role.COUNTY_REVIEWER, 0),
    (ReviewKind.LISTING_CHANGE, StepKind.DECISION, "县级核对", "County check", Role.COUNTY_REVIEWER, 0),
    (ReviewKind.PRICE_EXPLANATION, StepKind.DECISION, "县级核定", "County decision", Role.COUNTY_REVIEWER, 0),
    (ReviewKind.STORY, StepKind.DECISION, "县级审核", "County review", Role.COUNTY_REVIEWER, 0),
    (RECOGNITION, StepKind.DECISION, "村级清单", "Village list", Role.VILLAGE_REVIEWER, 0),
    (RECOGNITION, StepKind.DECISION, "乡镇复核", "Township review", Role.TOWNSHIP_REVIEWER, 0),
    (RECOGNITION, StepKind.DECISION, "行业审核", "Sector review", Role.COUNTY_REVIEWER, 0),
    (RECOGNITION, StepKind.PUBLIC_NOTICE, "公示", "Public notice", Role.COUNTY_REVIEWER, 7),
    (RECOGNITION, StepKind.DECISION, "县级审定", "County decision", Role.COUNTY_REVIEWER, 0),
)


class ReviewStepFactory(RowFactory):
    """One configured step; the first, a village's decision on an entry, unless said otherwise."""

    class Meta:
        model = ReviewStep

    kind = ReviewKind.COOPERATIVE_ENTRY
    region_code = "36"
    position = 1
    step = StepKind.DECISION
    name_zh = "村级初审"
    name_en = "Village check"
    role = Role.VILLAGE_REVIEWER
    notice_days = 0


def default_steps(region_code: str = "36") -> None:
    """The steps that hold in the whole province."""
    RegionFactory(code=region_code)
    for position, (kind, step, name_zh, name_en, role, days) in enumerate(STEPS, start=1):
        ReviewStepFactory(
            kind=kind,
            region_code=region_code,
            position=position,
            step=step,
            name_zh=name_zh,
            name_en=name_en,
            role=role,
            notice_days=days,
        )


@dataclass(frozen=True)
class Reviewers:
    """The actors of the three levels of government over 鳌溪村."""

    village: Actor
    township: Actor
    county: Actor


def reviewers() -> Reviewers:
    """One person each at the village, the township and the county."""
    roles = (Role.VILLAGE_REVIEWER, Role.TOWNSHIP_REVIEWER, Role.COUNTY_REVIEWER)
    return Reviewers(*(actor_of(official_with(role)) for role in roles))


def case_of(session: Session, cooperative: Cooperative | None = None) -> ReviewCase:
    """A new case: the entry of a cooperative of 鳌溪村 that waits for its village."""
    cooperative = cooperative or CooperativeFactory(state=CooperativeState.UNDER_REVIEW, admitted_at=None)
    return open_review(
        session,
        actor_at(cooperative),
        kind=ReviewKind.COOPERATIVE_ENTRY,
        subject_id=cooperative.id,
        title=cooperative.name,
        region_code=cooperative.village_code,
        cooperative_id=cooperative.id,
    )


def case_on_notice(session: Session, people: Reviewers, outcomes: Outcomes) -> ReviewCase:
    """A case that village and township have passed; its notice of seven days begins tomorrow."""
    case = case_of(session)
    for actor in (people.village, people.township):
        decide_step(session, actor, case, decision=Decision.PASS, outcomes=outcomes)
    return case


def noting(ends: list[tuple[ReviewKind, str]]) -> Outcomes:
    """A table of outcomes that only notes in `ends` how each case ended."""

    def note(_session: Session, case: ReviewCase) -> None:
        ends.append((case.kind, case.state.value))

    table: dict[ReviewKind, Callable[[Session, ReviewCase], None]] = dict.fromkeys(ReviewKind, note)
    return table
