"""Income slips: what stands on the paper, who may issue it, and a public check that names nobody."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest
import segno
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role, TrailEntry, User
from marketplace.linkage.models import Mechanism
from marketplace.payments.models import Credit
from marketplace.payments.refunds.models import CreditAddition
from marketplace.payments.settlement import settle_lines
from marketplace.payments.slips import paper
from marketplace.payments.slips.models import IncomeSlip, SlipWithdrawal
from marketplace.payments.slips.queries import check_of, figures_of, hash_of
from marketplace.payments.slips.rules import MOST_A_DAY, issue_slip, withdraw_slip
from marketplace.registry.models import Household
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.factories.linkage import ContractFactory, EntitlementFactory, LeaseFactory, PeriodFactory
from tests.factories.refunds import refunded
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, actor_at, user_of_household
from tests.factories.trade import Offer, offer, sell
from tests.payments.payout_world import PayoutWorld, row

JUNE = (date(2026, 6, 1), date(2026, 6, 30))
KEY = "a-key-of-the-first-slip"
TERMS = {Mechanism.CONTRACT_FARMING: 1_000, Mechanism.LAND_TRANSFER: 500}


class Earner:
    """A household credited 5.00 for its produce and 2.50 for its land, of one bottle sold in June for 50.00."""

    def __init__(self, session: Session) -> None:
        self.enrolment = EnrolmentFactory(cooperative=CooperativeFactory())
        self.offered: Offer = offer(session, self.enrolment.cooperative, terms=TERMS)
        contract, lease = ContractFactory(enrolment=self.enrolment), LeaseFactory(enrolment=self.enrolment)
        period = PeriodFactory(cooperative=self.enrolment.cooperative)
        EntitlementFactory(agreement=contract, lot=self.offered.lot)
        EntitlementFactory(agreement=lease, period=period)
        sell(session, self.offered, units=1)
        settle_lines(session)
        self.household: Household = self.enrolment.household
        self.user: User = user_of_household(self.household)
        session.flush()

    @property
    def actor(self) -> Actor:
        return actor_of(self.user)


@pytest.fixture
def earner(session: Session, clock: HeldClock) -> Earner:
    return Earner(session)


def issue(
    session: Session, earner: Earner, actor: Actor | None = None, *, key: str = KEY, until: date | None = None
) -> IncomeSlip:
    return issue_slip(
        session,
        actor or earner.actor,
        household=earner.household,
        since=JUNE[0],
        until=until or date(2026, 6, 1),
        idempotency_key=key,
    )


def count(session: Session) -> int:
    return session.scalar(select(func.count(IncomeSlip.id))) or 0


def test_a_slip_says_each_mechanism_and_keeps_direct_and_allocated_apart(
    session: Session, earner: Earner
) -> None:
    slip = issue(session, earner)
    assert slip.figures == {
        "by_mechanism": {"contract_farming": 500, "land_transfer": 250},
        "by_attribution": {"direct": 500, "allocated": 250},
        "credited_fen": 750,
        "guaranteed_fen": 0,
        "relief_fen": 0,
        "other_fen": 0,
        "paid_out_fen": 0,
        "under_way_fen": 0,
        "balance_fen": 750,
    }
    assert slip.content_hash == hash_of(slip)
    assert len(slip.token) == 28
    trail = session.scalars(select(TrailEntry).where(TrailEntry.action == "payments.issue_slip")).one()
    assert (trail.subject_no, trail.household_id) == (slip.public_no, earner.household.id)


def test_the_same_key_gives_the_same_slip(session: Session, earner: Earner) -> None:
    assert issue(session, earner) is issue(session, earner)
    assert count(session) == 1


def test_days_outside_the_span_do_not_count(session: Session, earner: Earner) -> None:
    figures = figures_of(session, earner.household.id, date(2026, 5, 1), date(2026, 5, 31), known_at=now())
    assert (figures.credited_fen, figures.balance_fen) == (0, 750)


@pytest.mark.parametrize(
    ("since", "until", "code"),
    [
        (date(2026, 6, 1), date(2026, 5, 31), "slip_span"),
        (date(2026, 6, 1), date(2026, 6, 2), "slip_future"),
        (date(2021, 1, 1), date(2026, 6, 1), "slip_long"),
    ],
)
def test_days_that_make_no_sense_are_refused(
    session: Session, earner: Earner, since: date, until: date, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        issue_slip(
            session,
            earner.actor,
            household=earner.household,
            since=since,
            until=until,
            idempotency_key=KEY,
        )
    assert refused.value.code == code
    assert count(session) == 0


def test_a_household_gets_no_endless_slips(session: Session, earner: Earner) -> None:
    for number in range(MOST_A_DAY):
        issue(session, earner, key=f"{KEY}-{number}")
    with pytest.raises(Refused) as refused:
        issue(session, earner, key=f"{KEY}-more")
    assert refused.value.code == "slip_too_many"
    assert count(session) == MOST_A_DAY


def test_a_cooperative_s_slip_tells_of_its_own_money_alone(session: Session, earner: Earner) -> None:
    second = EnrolmentFactory(household=earner.household, cooperative=CooperativeFactory())
    offered = offer(session, second.cooperative)
    EntitlementFactory(agreement=ContractFactory(enrolment=second), lot=offered.lot)
    sell(session, offered, units=2, key="the-second-order-of-all")
    settle_lines(session)
    slip = issue(session, earner, actor_at(second.cooperative))
    assert slip.cooperative_id == second.cooperative.id
    assert (slip.figures["credited_fen"], slip.figures["balance_fen"]) == (1_000, 1_000)
    assert issue(session, earner, key="the-household-s-own-key").figures["credited_fen"] == 1_750


def test_auditors_and_strangers_issue_nothing(session: Session, earner: Earner) -> None:
    with pytest.raises(Forbidden):
        issue(session, earner, actor_of(official_with(Role.AUDITOR)))
    for stranger in (
        actor_of(user_of_household(EnrolmentFactory().household)),
        actor_at(CooperativeFactory()),
        actor_of(official_with(Role.COUNTY_REVIEWER, "360827")),
    ):
        with pytest.raises(NotFound):
            issue(session, earner, stranger)
    assert count(session) == 0


def test_a_withdrawn_slip_stays_and_says_so(session: Session, earner: Earner, client: MarketClient) -> None:
    slip = issue(session, earner)
    withdraw_slip(session, earner.actor, slip, reason="日期选错了")
    with pytest.raises(Conflict):
        withdraw_slip(session, earner.actor, slip, reason="再作废一次")
    page = client.get(f"/slips/{slip.token}")
    assert page.status_code == 200
    assert "这张凭条已作废" in page.text
    assert "7.50" not in page.text
    assert "日期选错了" not in page.text


def test_only_the_household_and_the_issuer_withdraw(session: Session, earner: Earner) -> None:
    slip = issue(session, earner)
    for other in (
        actor_of(official_with(Role.COUNTY_REVIEWER)),
        actor_of(official_with(Role.AUDITOR)),
        actor_at(earner.enrolment.cooperative),
    ):
        with pytest.raises(Forbidden):
            withdraw_slip(session, other, slip, reason="我要作废")
    with pytest.raises(Refused):
        withdraw_slip(session, earner.actor, slip, reason=" ")
    assert session.get(SlipWithdrawal, slip.id) is None


@pytest.mark.parametrize("table", ["income_slip", "income_slip_withdrawal"])
def test_the_database_refuses_to_change_a_slip(session: Session, earner: Earner, table: str) -> None:
    slip = issue(session, earner)
    withdraw_slip(session, earner.actor, slip, reason="日期选错了")
    session.commit()
    column = {"income_slip": "until_on = until_on", "income_slip_withdrawal": "reason = 'x'"}[table]
    for statement in (f"UPDATE {table} SET {column}", f"DELETE FROM {table}"):
        with pytest.raises(IntegrityError):
            session.execute(text(statement))
        session.rollback()


# --- the public check ---


def test_the_public_check_names_nobody(session: Session, earner: Earner, client: MarketClient) -> None:
    slip = issue(session, earner)
    page = client.get(f"/slips/{slip.token}")
    assert page.status_code == 200
    for said in (slip.public_no, "7.50", "5.00", "2.50", "订单生产", "土地流转", "乐安县", "与账本相符"):
        assert said in page.text
    household = earner.household
    people = [member.name for member in household.members] + [
        member.person_no for member in household.members
    ]
    hidden = [
        household.head_name,
        household.head_name[0] + "**",
        household.registry_no,
        household.public_no,
        "鳌溪",
        earner.enrolment.cooperative.name,
        *people,
    ]
    assert [word for word in hidden if word in page.text] == []
    assert page.headers["X-Robots-Tag"] == "noindex"


def test_a_forged_token_is_not_found(session: Session, earner: Earner, client: MarketClient) -> None:
    slip = issue(session, earner)
    for forged in (slip.public_no, "T-" + "0" * 26, slip.token[:-1] + "?", slip.token.lower()):
        assert client.get(f"/slips/{forged}").status_code == 404


def test_what_comes_after_a_slip_does_not_change_it(
    session: Session, earner: Earner, client: MarketClient, clock: HeldClock
) -> None:
    slip = issue(session, earner)
    clock.advance(hours=1)
    sell(session, earner.offered, units=1, key="another-order-that-day")
    settle_lines(session)
    check = check_of(session, slip.token)
    assert (check.said_fen, check.today_fen, check.agrees, check.is_intact) == (750, 750, True, True)
    assert issue(session, earner, key="a-slip-of-the-evening").figures["credited_fen"] == 1_500


def test_what_refunds_take_back_later_is_told_beside_the_slip(
    session: Session, earner: Earner, client: MarketClient, clock: HeldClock
) -> None:
    order = sell(session, earner.offered, units=2, key="an-order-of-two-units")
    settle_lines(session)
    slip = issue(session, earner)
    clock.advance(days=9)
    refunded(session, order, 1)
    check = check_of(session, slip.token)
    assert (check.said_fen, check.agrees, check.taken_back_fen, check.relief_fen) == (2_250, True, 750, 0)
    page = client.get(f"/slips/{slip.token}").text
    assert "出具之后有冲回" in page
    assert "7.50" in page
    later = issue(session, earner, key="a-slip-after-the-refund", until=date(2026, 6, 10))
    assert later.figures["by_mechanism"] == {"contract_farming": 1_000, "land_transfer": 500}
    assert later.figures["balance_fen"] == later.figures["credited_fen"] == 1_500


def test_a_payout_is_paid_out_once_the_bank_says_so(
    session: Session, earner: Earner, clock: HeldClock, files: FileStore
) -> None:
    for number in range(2):
        sell(session, earner.offered, units=1, key=f"an-order-to-be-paid-out-{number}")
    settle_lines(session)
    cooperative = earner.enrolment.cooperative
    payers = PayoutWorld(
        session, cooperative, actor_at(cooperative), actor_at(cooperative, Role.COOPERATIVE_CLERK)
    )
    payers.account(earner.household)
    batch = payers.sent(files)
    sent = issue(session, earner).figures
    assert (sent["paid_out_fen"], sent["under_way_fen"], sent["balance_fen"]) == (0, 2_250, 0)
    payers.answer(files, batch, row(payers.payouts(batch)[0]))
    paid = issue(session, earner, key="a-slip-after-the-payout").figures
    assert (paid["paid_out_fen"], paid["under_way_fen"], paid["balance_fen"]) == (2_250, 0, 0)
    assert paid["credited_fen"] == 2_250


def test_a_ledger_that_says_something_else_is_found_out(session: Session, earner: Earner) -> None:
    slip = issue(session, earner)
    credit = session.scalars(select(Credit).where(Credit.mechanism == Mechanism.CONTRACT_FARMING)).one()
    session.add(
        CreditAddition(
            pool_id=credit.pool_id,
            line_id=credit.line_id,
            household_id=credit.household_id,
            cooperative_id=credit.cooperative_id,
            mechanism=credit.mechanism,
            amount_fen=1,
            entry_id=credit.entry_id,
            credited_at=slip.issued_at,
        )
    )
    session.flush()
    check = check_of(session, slip.token)
    assert (check.said_fen, check.today_fen, check.agrees) == (750, 751, False)


def test_a_doctored_row_is_found_out(session: Session, earner: Earner, client: MarketClient) -> None:
    slip = issue(session, earner)
    doctored = IncomeSlip(
        token="T-DOCTORED",
        household_id=slip.household_id,
        since_on=slip.since_on,
        until_on=slip.until_on,
        figures={**slip.figures, "by_mechanism": {"contract_farming": 999_900}},
        content_hash=slip.content_hash,
        idempotency_key="another-key-of-a-slip",
        issued_by=slip.issued_by,
    )
    session.add(doctored)
    page = client.get("/slips/T-DOCTORED")
    assert "记录不完整" in page.text
    assert "9,999.00" not in page.text


def test_the_check_is_limited(app: Flask, session: Session, earner: Earner, client: MarketClient) -> None:
    slip = issue(session, earner)
    answers = {client.get(f"/slips/{slip.token}").status_code for _ in range(61)}
    assert answers == {200, 429}


# --- paper and pages ---


def words_of(pdf: bytes, tmp_path: Path) -> str:
    path = tmp_path / "slip.pdf"
    path.write_bytes(pdf)
    return subprocess.run(
        ["pdftotext", "-layout", path, "-"], capture_output=True, check=True
    ).stdout.decode()


def test_the_household_opens_its_slip_from_its_telephone(
    session: Session, earner: Earner, client: MarketClient, tmp_path: Path
) -> None:
    client.sign_in(earner.user)
    form = client.get("/my/slips", follow_redirects=True)
    assert form.status_code == 200
    url = f"/households/{earner.household.public_no}/slips"
    issued = client.post(
        url, data={"since": "2026-06-01", "until": "2026-06-01", "idempotency_key": "k" * 22}
    )
    assert issued.status_code == 303
    assert client.get(issued.location).status_code == 200
    pdf = client.get(f"{issued.location}.pdf")
    assert (pdf.status_code, pdf.mimetype) == (200, "application/pdf")
    assert pdf.data.startswith(b"%PDF-")
    assert pdf.data.count(b"/Type /Page\n") == 1
    assert len(pdf.data) < 60_000
    if shutil.which("pdftotext"):
        words = words_of(pdf.data, tmp_path)
        for said in (earner.household.head_name, "订单生产", "5.00", "土地流转", "2.50", "7.50", "还应发放"):
            assert said in words


def test_the_paper_says_the_figures_and_masks_the_name_for_others(
    app: Flask, session: Session, earner: Earner, client: MarketClient, tmp_path: Path
) -> None:
    slip = issue(session, earner)
    with app.test_request_context():
        printed = paper.contents(slip, holder="陈**", check_url="http://localhost/slips/T-X")
    assert [(row.label, row.text) for row in printed.money] == [
        ("订单生产", "5.00"),
        ("土地流转", "2.50"),
        ("入账合计", "7.50"),
        ("已发放到账", "0.00"),
        ("截至出具日还应发放", "7.50"),
    ]
    assert printed.who[1].text == "陈**"
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    pdf = client.get(f"/income-slips/{slip.public_no}.pdf")
    assert pdf.status_code == 200
    if shutil.which("pdftotext"):
        words = words_of(pdf.data, tmp_path)
        assert earner.household.head_name not in words
        assert "陈**" in words


def test_the_code_on_the_paper_is_the_address_of_the_check(
    monkeypatch: pytest.MonkeyPatch, session: Session, earner: Earner, client: MarketClient
) -> None:
    slip = issue(session, earner)
    encoded: list[str] = []
    real = segno.make
    monkeypatch.setattr(paper.segno, "make", lambda words, **how: encoded.append(words) or real(words, **how))
    client.sign_in(earner.user)
    assert client.get(f"/income-slips/{slip.public_no}.pdf").status_code == 200
    assert encoded == [f"http://localhost/slips/{slip.token}"]


def test_english_readers_get_both_languages(
    session: Session, earner: Earner, client: MarketClient, app: Flask
) -> None:
    slip = issue(session, earner)
    client.set_cookie("lang", "en")
    earner.user.locale = "en"
    client.sign_in(earner.user)
    assert client.get(f"/income-slips/{slip.public_no}.pdf").data.startswith(b"%PDF-")


def test_foreign_slips_are_not_found(session: Session, earner: Earner, client: MarketClient) -> None:
    slip = issue(session, earner)
    client.sign_in(user_of_household(EnrolmentFactory().household))
    for address in (f"/income-slips/{slip.public_no}", f"/income-slips/{slip.public_no}.pdf"):
        assert client.get(address).status_code == 404
    assert client.post(f"/income-slips/{slip.public_no}/withdraw", data={"reason": "看看"}).status_code == 404
    assert client.get(f"/households/{earner.household.public_no}/slips").status_code == 404
    client.sign_in(UserFactory(granted=(Role.STAFF_BUYER,)))
    assert client.get(f"/income-slips/{slip.public_no}").status_code == 403
    assert session.get(SlipWithdrawal, slip.id) is None


def test_a_cooperative_does_not_read_the_household_s_own_slips(
    session: Session, earner: Earner, client: MarketClient
) -> None:
    slip = issue(session, earner)
    client.sign_in(session.get_one(User, actor_at(earner.enrolment.cooperative).user_id))
    assert client.get(f"/income-slips/{slip.public_no}").status_code == 404
    assert slip.public_no not in client.get(f"/households/{earner.household.public_no}/slips").text


def test_the_list_of_slips_sends_as_many_statements_for_one_as_for_ten(
    session: Session, earner: Earner, client: MarketClient, page_statements, clock: HeldClock
) -> None:
    client.sign_in(earner.user)
    issue(session, earner)
    url = f"/households/{earner.household.public_no}/slips"
    client.get(url)
    with page_statements() as one:
        client.get(url)
    for number in range(9):
        issue(session, earner, key=f"{KEY}-{number}")
    with page_statements() as ten:
        client.get(url)
    assert len(one) == len(ten)
