"""Certificates: the number, the review, the day it ends, and what may not be sold without one."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.catalog.certificates.queries import is_in_force, tasks_of
from marketplace.catalog.certificates.rules import apply_certificate, apply_certificate_outcome
from marketplace.catalog.models import (
    Certificate,
    CertificateState,
    IndexTask,
    Listing,
    ListingVersion,
    Product,
)
from marketplace.catalog.rules import publish_listing
from marketplace.core.errors import Conflict, DomainError, NotFound
from marketplace.identity.actors import Actor
from marketplace.identity.models import Role
from marketplace.registry.reviews.models import Decision, ReviewCase, ReviewKind
from marketplace.registry.reviews.rules import decide_step
from tests.conftest import HeldClock
from tests.factories.identity import actor_with
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.reviews import default_steps
from tests.factories.trade import TENTH, CategoryFactory, ProductFactory

NUMBER = "LB-18-2305140123A"
TODAY = date(2026, 6, 1)
WISH: dict[str, Any] = {
    "number": NUMBER,
    "enterprise_no": "GF361025230123",
    "issued_on": date(2025, 6, 1),
    "expires_on": date(2028, 6, 1),
}


class Applicant:
    """A cooperative's manager with a product whose category needs a certificate."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.cooperative = CooperativeFactory()
        self.manager: Actor = actor_at(self.cooperative)
        CategoryFactory(needs_certificate=True)
        self.product: Product = ProductFactory(cooperative_row=self.cooperative)
        default_steps()

    def apply(self, **changes: Any) -> Certificate:
        wish = {"product": self.product, **WISH, **changes}
        return apply_certificate(self.session, wish.pop("actor", self.manager), **wish)

    def refusal(self, **changes: Any) -> DomainError:
        before = self.counts()
        with pytest.raises(DomainError) as refused, self.session.begin_nested():
            self.apply(**changes)
        assert self.counts() == before
        return refused.value

    def counts(self) -> list[int | None]:
        tables = (Certificate, ReviewCase, Listing, ListingVersion)
        return [self.session.scalar(select(func.count()).select_from(table)) for table in tables]

    def decide(self, decision: Decision) -> None:
        """What the county's reviewer says of the open case."""
        case = self.session.scalars(select(ReviewCase).order_by(ReviewCase.id.desc()).limit(1)).one()
        outcomes = {ReviewKind.CERTIFICATE: apply_certificate_outcome}
        reviewer = actor_with(Role.COUNTY_REVIEWER)
        decide_step(self.session, reviewer, case, decision=decision, comment="已核对", outcomes=outcomes)

    def publish(self, certificate: Certificate | None, product: Product | None = None) -> Listing:
        return publish_listing(
            self.session,
            self.manager,
            product=product or self.product,
            title="高山茶油",
            description="冷榨",
            tiers=[(1, 5_000)],
            terms=TENTH,
            certificate=certificate,
        )

    def publishing_refusal(self, certificate: Certificate | None) -> DomainError:
        before = self.counts()
        with pytest.raises(DomainError) as refused, self.session.begin_nested():
            self.publish(certificate)
        assert self.counts() == before
        return refused.value


@pytest.fixture
def applicant(session: Session, clock: HeldClock) -> Applicant:
    return Applicant(session)


def test_a_reviewed_certificate_lets_the_goods_be_sold(applicant: Applicant, session: Session) -> None:
    certificate = applicant.apply(number=" lb－18－2305140123a ")
    assert (certificate.number, certificate.state) == (NUMBER, CertificateState.UNDER_REVIEW)
    assert applicant.publishing_refusal(certificate).code == "certificate_not_in_force"
    applicant.decide(Decision.PASS)
    assert certificate.state is CertificateState.VALID
    assert applicant.publish(certificate).current_version.certificate is certificate


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"number": ""}, "number"),
        ({"number": "LB-18-23051401"}, "number"),
        ({"number": "LB-18-2313140123A"}, "number"),
        ({"number": "LB-18-2305140123B"}, "number"),
        ({"number": "QS-18-2305140123A"}, "number"),
        ({"enterprise_no": "GF36102523012"}, "enterprise_no"),
        ({"enterprise_no": "361025230123"}, "enterprise_no"),
    ],
)
def test_a_number_of_the_wrong_form_is_refused(
    applicant: Applicant, changes: dict[str, str], field: str
) -> None:
    refusal = applicant.refusal(**changes)
    assert (refusal.status, refusal.field) == (422, field)


@pytest.mark.parametrize(
    ("issued_on", "expires_on", "code"),
    [
        (date(2023, 6, 1), TODAY, "certificate_expired"),
        (date(2023, 5, 31), date(2026, 5, 31), "certificate_expired"),
        (TODAY + timedelta(days=1), date(2028, 6, 1), "certificate_not_begun"),
        (TODAY, TODAY, "certificate_dates"),
        (TODAY, TODAY - timedelta(days=1), "certificate_dates"),
        (TODAY, date(2029, 6, 2), "certificate_term"),
    ],
)
def test_days_that_cannot_be_are_refused(
    applicant: Applicant, issued_on: date, expires_on: date, code: str
) -> None:
    assert applicant.refusal(issued_on=issued_on, expires_on=expires_on).code == code


def test_a_number_counts_once(applicant: Applicant, session: Session) -> None:
    applicant.apply()
    again = applicant.refusal()
    assert (again.code, again.field, again.params) == ("certificate_taken", "number", {"number": NUMBER})
    rival = CooperativeFactory()
    stolen = applicant.refusal(actor=actor_at(rival), product=ProductFactory(cooperative_row=rival))
    assert (stolen.code, isinstance(stolen, Conflict)) == ("certificate_taken", True)
    applicant.decide(Decision.PASS)
    assert applicant.refusal().code == "certificate_taken"


@pytest.mark.parametrize("decision", [Decision.RETURN, Decision.REJECT])
def test_a_certificate_that_came_back_is_mended_under_its_number(
    applicant: Applicant, session: Session, decision: Decision
) -> None:
    certificate = applicant.apply(expires_on=date(2028, 5, 1))
    applicant.decide(decision)
    assert applicant.publishing_refusal(certificate).code == "certificate_not_in_force"
    sibling = ProductFactory(cooperative_row=applicant.cooperative)
    assert applicant.refusal(product=sibling).code == "certificate_taken"

    assert applicant.apply() is certificate
    assert (certificate.state, certificate.expires_on) == (CertificateState.UNDER_REVIEW, date(2028, 6, 1))
    applicant.decide(Decision.PASS)
    assert applicant.publish(certificate).current_version.certificate is certificate
    assert session.scalar(select(func.count()).select_from(ReviewCase)) == 2


def test_another_cooperative_s_product_gets_no_certificate(applicant: Applicant) -> None:
    assert isinstance(applicant.refusal(actor=actor_at(CooperativeFactory())), NotFound)


def test_a_category_that_needs_a_certificate_is_not_sold_without(applicant: Applicant) -> None:
    refusal = applicant.publishing_refusal(None)
    assert (refusal.code, refusal.field, refusal.params) == (
        "certificate_missing",
        "certificate",
        {"category": "山茶油"},
    )


def test_an_expired_certificate_does_not_serve(applicant: Applicant, clock: HeldClock) -> None:
    certificate = applicant.apply()
    applicant.decide(Decision.PASS)
    clock.set_to(clock.now.replace(year=2028, month=5, day=31))
    assert applicant.publish(certificate).current_version.version == 1
    clock.advance(days=1)
    assert applicant.publishing_refusal(certificate).code == "certificate_not_in_force"


def test_the_certificate_of_another_product_does_not_serve(applicant: Applicant) -> None:
    certificate = applicant.apply()
    applicant.decide(Decision.PASS)
    sibling = ProductFactory(cooperative_row=applicant.cooperative)
    with pytest.raises(NotFound):
        applicant.publish(certificate, sibling)


def test_the_badge_is_worn_from_the_first_day_to_the_day_before_the_last(applicant: Applicant) -> None:
    certificate = applicant.apply()
    applicant.decide(Decision.PASS)
    worn = [
        is_in_force(certificate, day)
        for day in (date(2025, 5, 31), date(2025, 6, 1), date(2028, 5, 31), date(2028, 6, 1))
    ]
    assert worn == [False, True, True, False]
    certificate.state = CertificateState.REVOKED
    assert not is_in_force(certificate, TODAY)
    assert not is_in_force(None, TODAY)


def test_the_end_of_a_review_is_told_to_the_search(applicant: Applicant, session: Session) -> None:
    certificate = applicant.apply()
    applicant.decide(Decision.PASS)
    applicant.publish(certificate)
    before = session.scalar(select(func.count()).select_from(IndexTask))
    case = session.scalars(select(ReviewCase)).one()
    apply_certificate_outcome(session, case)
    assert session.scalar(select(func.count()).select_from(IndexTask)) == before + 1


def test_three_months_before_the_end_the_renewal_is_a_task(
    applicant: Applicant, session: Session, clock: HeldClock
) -> None:
    certificate = applicant.apply()
    applicant.decide(Decision.PASS)
    applicant.publish(certificate)
    assert tasks_of(session, applicant.manager) == []
    clock.set_to(clock.now.replace(year=2028, month=3, day=3))
    assert [(task.count, task.endpoint) for task in tasks_of(session, applicant.manager)] == [
        (1, "certificates.index")
    ]
