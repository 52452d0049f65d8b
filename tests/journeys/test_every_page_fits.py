"""Every page of linkage and of its money, with the mechanisms and the closed year that a small demo lacks, opened by
whom it is for: it fits a small phone, and everybody can read and use it. The journeys come by a few of these pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core import clock
from marketplace.core.clock import today
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.linkage.mechanisms.asset_lease.models import AssetRentReceipt
from marketplace.linkage.mechanisms.share_cooperation.models import ShareResolution
from marketplace.linkage.mechanisms.table import MECHANISMS
from marketplace.linkage.models import Agreement, Evidence, LinkagePeriod, Lot, Mechanism
from marketplace.payments.closing.rules import confirm_closing, prepare_closing
from marketplace.payments.corrections.models import CorrectionKind, CorrectionSet
from marketplace.payments.corrections.rules import propose_correction
from marketplace.payments.payouts.models import PayoutBatch
from marketplace.payments.payouts.rules import prepare_batch
from marketplace.registry.models import Household, HouseholdStatusKind
from marketplace.registry.rules import record_status
from marketplace.reporting.dossier import DossierSection
from tests.factories.identity import official_with
from tests.factories.linkage import (
    AssetLeaseFactory,
    LotFactory,
    TrusteeshipFactory,
    attend,
    reap,
    receive_rent,
)
from tests.factories.shares import StakeFactory, share_surplus
from tests.journeys import year
from tests.journeys.conftest import OpenPage
from tests.journeys.looking import SMALL_PHONE, faults_on
from tests.journeys.people import Theatre, Words
from tests.journeys.year import Ground

pytestmark = [pytest.mark.browser, pytest.mark.databases("sqlite"), pytest.mark.timeout(600)]


@pytest.fixture
def ground(session: Session) -> Ground:
    """The ground of the year with the other mechanisms, a closed year, a correction and a batch on top."""
    laid = year.lay_ground(session)
    laid.users["reviewer"] = official_with(Role.COUNTY_REVIEWER)
    laid.users["operator"] = official_with(Role.OPERATOR)
    _agree_on_more(session)
    actor = actor_of(laid.users["manager"])
    period = session.scalars(select(LinkagePeriod).order_by(LinkagePeriod.id)).first()
    assert period is not None
    share_surplus(session, period, meeting_on=today() - timedelta(days=30), dealings_fen=2_000_000)
    closing = prepare_closing(session, actor_of(laid.users["clerk"]), period)
    confirm_closing(session, actor, closing)
    found = laid.households[year.SECOND]
    record_status(
        session,
        actor_of(laid.users["reviewer"]),
        found,
        status=HouseholdStatusKind.INELIGIBLE,
        valid_from=year.LAST_YEAR.replace(month=2),
        reason="复核发现有商品房",
    )
    propose_correction(
        session,
        actor,
        kind=CorrectionKind.INELIGIBLE,
        household=found,
        from_on=year.LAST_YEAR.replace(month=2),
        reason="复核发现有商品房",
    )
    prepare_batch(
        session,
        actor_of(laid.users["clerk"]),
        minimum_fen=1_000,
        up_to_on=today(),
        layout_code="generic_csv",
        idempotency_key="the-batch-of-the-walk",
    )
    session.commit()
    return laid


def _agree_on_more(session: Session) -> None:
    """One agreement of each other mechanism with the third household, and evidence of it."""
    work = select(Agreement).where(Agreement.mechanism == Mechanism.EMPLOYMENT).order_by(Agreement.id)
    enrolled = list(session.scalars(work))[2]
    same = {"cooperative_id": enrolled.cooperative_id, "household_id": enrolled.household_id}
    with clock.set_to(clock.start_of(year.LAST_YEAR.replace(month=8))):
        since = {"enrolment": None, "version__valid_from": year.LAST_YEAR, **same}
        StakeFactory(**since)
        AssetLeaseFactory(**since)
        trusted = TrusteeshipFactory(**since)
        lot = LotFactory(
            cooperative=enrolled.cooperative, lot_no="稻谷-旧", commodity="稻谷", harvested_on=clock.today()
        )
        day = {"recorded_on": clock.today(), "year": clock.today().year}
        reap(session, trusted, lot, actual_g=4_000_000, **day)
        receive_rent(session, enrolled.cooperative, rent_fen=1_200_000, received_on=clock.today())
        attend(session, enrolled, worked_on=clock.today())


def _pages(session: Session, ground: Ground) -> Iterator[tuple[str, str]]:
    """Who opens what."""
    for path in _pages_of_linkage(session, ground.households[HOUSEHOLD]):
        yield "manager", path
    for path in _pages_of_money(session, ground.households[HOUSEHOLD]):
        yield "manager", path
    for path in ("/my/income", "/my/statement", "/my/dossier", "/my/slips", "/charges"):
        yield "household", path
    yield "reviewer", "/linkage/grain-prices"
    yield "reviewer", "/corrections/new"
    yield "operator", "/cashier/refunds"
    for path in ("/audit", "/linkage/agreements", "/linkage/unallocated"):
        yield "auditor", path


HOUSEHOLD = year.HEADS[2]


def _pages_of_linkage(session: Session, household: Household) -> Iterator[str]:
    yield "/linkage/agreements"
    yield "/linkage/agreements/new"
    for mechanism in MECHANISMS:
        yield f"/linkage/agreements/new/{household.public_no}/{mechanism.value}"
    own = {one.mechanism: one for one in session.scalars(select(Agreement)).unique()}
    for agreement in own.values():
        yield f"/linkage/agreements/{agreement.public_no}"
        yield f"/linkage/agreements/{agreement.public_no}/amend"
    for mechanism, page in RECORDING.items():
        yield f"/linkage/agreements/{own[mechanism].public_no}/{page}"
    lot = session.scalars(select(Lot).order_by(Lot.id)).first()
    assert lot is not None
    contract = own[Mechanism.CONTRACT_FARMING].public_no
    for page in ("", "/sheet", "/slips/quick", "/slips/new", f"/slips/new?agreement={contract}"):
        yield f"/linkage/lots/{lot.public_no}{page}"
    for name in ("attendance", "yields", f"weigh_slips?lot={lot.public_no}"):
        yield f"/linkage/sheets/new/{name}"
    yield "/linkage/attendance"
    yield f"/linkage/attendance/months/{year.LAST_YEAR.year}-08"
    for number in session.scalars(select(func.min(Evidence.public_no)).group_by(Evidence.mechanism)):
        yield f"/linkage/evidence/{number}"
        yield f"/linkage/evidence/{number}/print"
    for number in session.scalars(select(AssetRentReceipt.public_no)):
        yield f"/linkage/asset-rents/{number}"
    yield "/linkage/resolutions"
    yield "/linkage/resolutions/new"
    for number in session.scalars(select(ShareResolution.public_no)):
        yield f"/linkage/resolutions/{number}"
        yield f"/linkage/resolutions/{number}/print"


RECORDING = {
    Mechanism.CONTRACT_FARMING: "advances",
    Mechanism.LAND_TRANSFER: "rent",
    Mechanism.PRODUCTION_TRUSTEESHIP: "yields/new",
    Mechanism.SHARE_COOPERATION: "reassign",
    Mechanism.ASSET_LEASE: "asset-rent",
}


def _pages_of_money(session: Session, household: Household) -> Iterator[str]:
    period = session.scalars(select(LinkagePeriod).order_by(LinkagePeriod.id)).first()
    contract = session.scalars(select(Agreement).order_by(Agreement.id)).first()
    assert period is not None
    assert contract is not None
    closed = f"/linkage/periods/{period.public_no}"
    yield from (closed, f"{closed}/print", f"{closed}/correct")
    yield f"{closed}/correct?agreement={contract.public_no}"
    yield from ("/linkage/periods", "/linkage/unallocated", "/charges", "/refunds?state=all")
    yield from ("/corrections", "/corrections/new")
    yield "/workshop/simulator"
    yield f"/workshop/simulator?since={year.LAST_YEAR}&until={today()}&term-contract_farming=12"
    yield from ("/payouts", "/payouts/prepare", "/payouts/accounts")
    for column, path in LISTED:
        for number in session.scalars(column):
            yield path.format(number)
    home = f"/households/{household.public_no}"
    for page in ("income", "statement", "dossier", "dossier.print", "slips", "bank-account"):
        yield f"{home}/{page}"
    for section in DossierSection:
        yield f"{home}/dossier/{section.value}"


LISTED = (
    (select(CorrectionSet.public_no), "/corrections/{}"),
    (select(PayoutBatch.public_no), "/payouts/{}"),
    (select(PayoutBatch.public_no), "/payouts/{}/list"),
)


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_page_fits(open_page: OpenPage, session: Session, ground: Ground, language: str) -> None:
    for user in ground.users.values():
        user.locale = language
    session.commit()
    pages = list(_pages(session, ground))
    logins = {name: user.login_name for name, user in ground.users.items()}
    session.rollback()
    assert len(pages) > 80
    theatre, faults = Theatre(open_page, Words(language), SMALL_PHONE), list[str]()
    for name in dict.fromkeys(name for name, _ in pages):
        person = theatre.sign_in(name, logins[name])
        faults += faults_on(person, [path for who, path in pages if who == name])
        person.leaves()
    assert not faults, "\n".join(faults)
