"""Purchase certificates: for what is complete, once, with the income behind it; a refund withdraws them."""

from __future__ import annotations

import threading
from datetime import date

import pytest
from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import now, today
from marketplace.core.db import session_maker
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.ids import random_key
from marketplace.identity.models import Role, TrailEntry
from marketplace.ledger.checks import run_checks
from marketplace.ordering.models import OrderKind
from marketplace.payments.models import Payment
from marketplace.payments.purchase_certificates.models import (
    CertificateWithdrawal,
    CertifiedLine,
    PurchaseCertificate,
)
from marketplace.payments.purchase_certificates.queries import (
    check_of,
    content_hash,
    is_withdrawn,
    tasks_of,
)
from marketplace.payments.purchase_certificates.rules import issue_certificate, withdraw_certificate
from marketplace.payments.purchase_certificates.verify import CHECKS
from marketplace.payments.refunds.models import Refund, RefundState
from marketplace.payments.refunds.rules import agree_refund, ask_refund
from marketplace.payments.rules import apply_payment
from marketplace.payments.settlement import settle_lines
from marketplace.procurement.evaluations.rules import evaluate_part
from marketplace.registry.models import BuyerUnit
from tests.factories.linkage import ContractFactory, weigh
from tests.factories.registry import (
    BuyerUnitFactory,
    CooperativeFactory,
    actor_at,
    beneficiary_policy,
    user_of,
)
from tests.factories.trade import Offer, bill, offer
from tests.journeys.paper import Visitor
from tests.ordering.test_concurrency import all_at_once

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def unit(session) -> BuyerUnit:
    return BuyerUnitFactory()


@pytest.fixture
def offered(session) -> Offer:
    """Ten units and more in a lot that one household has weighed into; a tenth of the price is the household's."""
    beneficiary_policy()
    cooperative = CooperativeFactory()
    one = offer(session, cooperative, units=200)
    weigh(session, ContractFactory(cooperative=cooperative), one.lot, slip_no="1", net_g=10_000)
    return one


def complete(session: Session, offered: Offer, unit: BuyerUnit, units: int = 10) -> Payment:
    """A canteen's purchase accepted, paid, settled and evaluated."""
    payment = bill(session, offered, units, unit=unit, key=random_key())
    apply_payment(session, payment, paid_at=now())
    settle_lines(session)
    evaluate_part(session, actor_at(unit, Role.UNIT_RECEIVER), payment.part, goods_score=5, delivery_score=5)
    return payment


def issue(session: Session, unit: BuyerUnit, **given) -> PurchaseCertificate:
    asked = {
        "kind": OrderKind.CANTEEN,
        "since": date(2026, 1, 1),
        "until": today(),
        "idempotency_key": random_key(),
        **given,
    }
    return issue_certificate(session, actor_at(unit, Role.UNIT_PAYER), **asked)


def refund(session: Session, unit: BuyerUnit, payment: Payment, quantity: int) -> None:
    part = payment.part
    asked = ask_refund(
        session,
        actor_at(unit, Role.UNIT_RECEIVER),
        part=part,
        quantities={part.lines[0].public_no: quantity},
        reason="有几瓶漏油",
        idempotency_key=random_key(),
    )
    agree_refund(session, actor_at(part.cooperative), asked)


def count(session: Session) -> tuple[int | None, ...]:
    tables = (PurchaseCertificate, CertifiedLine, CertificateWithdrawal, TrailEntry)
    return tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)


def test_a_certificate_says_what_was_bought_and_what_became_of_it(session, unit, offered):
    complete(session, offered, unit)
    certificate = issue(session, unit)
    assert certificate.net_fen == 50_000
    assert certificate.figures == {
        "net_fen": 50_000,
        "lines": 1,
        "cooperatives": 1,
        "households": 1,
        "by_attribution": {"direct": 5_000},
        "waiting_fen": 0,
    }
    assert [(one.net_fen, one.replaces_id) for one in certificate.lines] == [(50_000, None)]
    assert content_hash(certificate) == certificate.content_hash


def test_the_same_submit_gives_the_first_certificate(session, unit, offered):
    complete(session, offered, unit)
    first = issue(session, unit, idempotency_key="k" * 20)
    complete(session, offered, unit)
    assert issue(session, unit, idempotency_key="k" * 20) is first


def test_a_purchase_stands_on_one_certificate(session, unit, offered):
    complete(session, offered, unit)
    issue(session, unit)
    before = count(session)
    with pytest.raises(Refused) as refused:
        issue(session, unit)
    assert refused.value.code == "nothing_to_certify"
    with pytest.raises(Refused):
        issue(session, BuyerUnitFactory())  # nor by another unit
    assert count(session) == before


def test_what_is_not_complete_is_not_certified(session, unit, offered):
    accepted = bill(session, offered, 3, unit=unit, key=random_key())
    with pytest.raises(Refused):
        issue(session, unit)
    apply_payment(session, accepted, paid_at=now())
    with pytest.raises(Refused):
        issue(session, unit)
    evaluate_part(session, actor_at(unit, Role.UNIT_RECEIVER), accepted.part, goods_score=5, delivery_score=5)
    with pytest.raises(Conflict) as refused:
        issue(session, unit)
    assert refused.value.code == "not_settled"
    assert count(session)[:3] == (0, 0, 0)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"since": date(2026, 6, 2), "until": date(2026, 6, 1)}, "span"),
        ({"until": date(2026, 6, 2)}, "future"),
        ({"since": date(2025, 1, 1)}, "span_long"),
        ({"kind": OrderKind.PERSONAL}, "kind"),
        ({"kind": OrderKind.UNION}, "nothing_to_certify"),
        ({"until": date(2026, 5, 31)}, "nothing_to_certify"),
    ],
)
def test_a_span_that_cannot_be_is_refused(session, unit, offered, given, code):
    complete(session, offered, unit)
    before = count(session)
    with pytest.raises(Refused) as refused:
        issue(session, unit, **given)
    assert (refused.value.code, count(session)) == (code, before)


def test_only_the_units_own_people_certify(session, unit, offered):
    complete(session, offered, unit)
    for actor in (actor_at(unit, Role.UNIT_RECEIVER), actor_at(offered.cooperative)):
        with pytest.raises(Forbidden):
            issue_certificate(
                session,
                actor,
                kind=OrderKind.CANTEEN,
                since=date(2026, 1, 1),
                until=today(),
                idempotency_key=random_key(),
            )
    certificate = issue(session, unit)
    with pytest.raises(NotFound):
        withdraw_certificate(
            session, actor_at(BuyerUnitFactory(), Role.UNIT_PAYER), certificate, reason="误开"
        )
    assert certificate.withdrawal is None


def test_a_refund_withdraws_it_and_what_is_left_is_certified_again(session, unit, offered):
    payment = complete(session, offered, unit)
    first = issue(session, unit)
    refund(session, unit, payment, 3)
    session.expire_all()
    assert first.withdrawal is not None
    assert first.withdrawal.reason == "其中有商品退款，凭证自动作废"
    assert [task.count for task in tasks_of(session, actor_at(unit, Role.UNIT_PAYER))] == [1]
    second = issue(session, unit)
    assert (second.net_fen, second.figures["by_attribution"]) == (35_000, {"direct": 3_500})
    assert [one.replaces_id for one in second.lines] == [first.id]
    assert tasks_of(session, actor_at(unit, Role.UNIT_PAYER)) == []
    refund(session, unit, payment, 7)
    session.expire_all()
    assert second.withdrawal is not None
    with pytest.raises(Refused):  # nothing is left of it
        issue(session, unit)
    assert [finding for result in run_checks(session, CHECKS) for finding in result.findings] == []


def test_the_database_lets_no_line_stand_twice(session, unit, offered):
    complete(session, offered, unit)
    first = issue(session, unit)
    complete(session, offered, unit)
    second = issue(session, unit)
    again = {"certificate_id": second.id, "line_id": first.lines[0].line_id, "net_fen": 50_000}
    for replaces in (None, first.id):  # neither as a first one, nor in place of one that was not withdrawn
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(insert(CertifiedLine).values(**again, replaces_id=replaces))
    withdraw_certificate(session, actor_at(unit, Role.UNIT_PAYER), first, reason="误开")
    for statement in (update(CertifiedLine).values(net_fen=1), delete(CertificateWithdrawal)):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(statement)


def test_a_changed_certificate_is_found(session, unit, offered):
    complete(session, offered, unit)
    certificate = issue(session, unit)
    assert check_of(session, certificate.token).is_intact
    certificate.figures = {**certificate.figures, "households": 99}
    with session.no_autoflush:
        assert content_hash(certificate) != certificate.content_hash
    session.expire(certificate)


@pytest.mark.databases("postgresql")
def test_two_who_certify_the_same_at_one_moment_get_one(session: Session, engine: Engine, unit, offered):
    complete(session, offered, unit)
    actor = actor_at(unit, Role.UNIT_PAYER)
    session.commit()
    maker, start, outcomes = session_maker(engine), threading.Barrier(2), list[str]()

    def certify() -> None:
        with maker() as own:
            start.wait()
            try:
                issue_certificate(
                    own,
                    actor,
                    kind=OrderKind.CANTEEN,
                    since=date(2026, 1, 1),
                    until=date(2026, 6, 1),
                    idempotency_key=random_key(),
                )
                own.commit()
                outcomes.append("issued")
            except (Conflict, Refused) as refused:
                own.rollback()
                outcomes.append(refused.code)

    threads = [threading.Thread(target=certify) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["issued", "nothing_to_certify"]
    assert session.scalar(select(func.count(PurchaseCertificate.id))) == 1


@pytest.mark.databases("postgresql")
def test_a_refund_and_a_certificate_at_one_moment_leave_nothing_countable_twice(
    session: Session, engine: Engine, unit, offered
):
    """Whichever came first: the certificate leaves out what was given back, or the refund withdraws it."""
    units = (1, 4, 10)
    payments = [complete(session, offered, unit) for _ in units]
    for payment, quantity in zip(payments, units, strict=True):
        asked = ask_refund(
            session,
            actor_at(unit, Role.UNIT_RECEIVER),
            part=payment.part,
            quantities={payment.part.lines[0].public_no: quantity},
            reason="有几瓶漏油",
            idempotency_key=random_key(),
        )
        refund_id, payer = asked.id, actor_at(unit, Role.UNIT_PAYER)
        seller = actor_at(payment.part.cooperative)
        session.commit()

        def agree(own: Session, refund_id=refund_id, seller=seller) -> object:
            return agree_refund(own, seller, own.get_one(Refund, refund_id)).state

        def certify(own: Session, payer=payer) -> object:
            return issue_certificate(
                own,
                payer,
                kind=OrderKind.CANTEEN,
                since=date(2026, 1, 1),
                until=date(2026, 6, 1),
                idempotency_key=random_key(),
            ).net_fen

        agreed, certified = all_at_once(engine, [agree, certify])
        session.expire_all()
        assert agreed is RefundState.AGREED
        before_fen = 150_000 - sum(units[: units.index(quantity)]) * 5_000
        assert certified in (before_fen, before_fen - quantity * 5_000)
        valid = session.scalars(select(PurchaseCertificate).where(~is_withdrawn())).all()
        assert [one.net_fen for one in valid] == (
            [] if certified == before_fen else [before_fen - quantity * 5_000]
        )
        for one in valid:
            withdraw_certificate(session, actor_at(unit, Role.UNIT_PAYER), one, reason="换开")
    session.commit()
    assert issue(session, unit).net_fen == 75_000
    assert [finding for result in run_checks(session, CHECKS) for finding in result.findings] == []


def test_it_is_issued_on_its_page_and_checked_by_anybody(session, client, unit, offered):
    complete(session, offered, unit)
    payer, elsewhere = user_of(unit, Role.UNIT_PAYER), user_of(BuyerUnitFactory(), Role.UNIT_PAYER)
    session.commit()
    client.sign_in(payer)
    visitor = Visitor(client)
    page = visitor.open("/purchase-certificates")
    assert page.has("还没有凭证")
    bad = visitor.press(page, "开具凭证", since="2026-06-01", until="2026-05-01", status=422)
    assert bad.has("开始日期不能晚于结束日期")
    shown = visitor.press(bad, "开具凭证", since="2026-01-01", until="2026-06-01")
    assert shown.has("500.00", "1 户", "50.00")
    certificate = session.scalars(select(PurchaseCertificate)).one()
    paper = client.get(f"/purchase-certificates/{certificate.public_no}")
    assert 'src="data:image/svg+xml' in paper.text
    client.sign_in(elsewhere)
    assert client.get(f"/purchase-certificates/{certificate.public_no}").status_code == 404
    client.delete_cookie("session")
    check = client.get(f"/certified-purchases/{certificate.token}")
    assert all(words in check.text for words in ("凭证有效", "500.00", "少于 5 户，不公开"))
    assert unit.name not in check.text
    assert client.get("/certified-purchases/no-such-token").status_code == 404
