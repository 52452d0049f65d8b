"""The life of a certificate after its review: suspension, lifting, revocation, fee and waiver, and what was certified
when it was sold."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.catalog.certificates.fees import decide_waiver, state_fee
from marketplace.catalog.certificates.models import CertificateEvent, CertificateFee, WaiverState
from marketplace.catalog.certificates.queries import (
    Show,
    Standing,
    certificates_visible_to,
    in_force_at,
    standing,
    tasks_of,
    waived_totals,
)
from marketplace.catalog.certificates.rules import (
    apply_certificate,
    lift_suspension,
    revoke_certificate,
    suspend_certificate,
)
from marketplace.catalog.jobs import drop_expired_badges
from marketplace.catalog.models import Certificate, CertificateState, IndexTask
from marketplace.catalog.queries import SaleStop, sale_stop
from marketplace.core.clock import today
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.ordering.cart.rules import put_in_cart
from marketplace.ordering.models import CartLine, OrderKind
from marketplace.ordering.sale_proofs.queries import sale_proof
from tests.factories.certificates import certified
from tests.factories.identity import official_with
from tests.factories.registry import CooperativeFactory, actor_at
from tests.factories.reviews import default_steps
from tests.factories.trade import CategoryFactory, buy, offer, staff_buyer

REASON = "抽检不合格，限期整改"


@pytest.fixture
def county():
    return actor_of(official_with(Role.COUNTY_REVIEWER))


@pytest.fixture
def offered(session, clock):
    CategoryFactory(needs_certificate=True)
    return offer(session, CooperativeFactory())


@pytest.fixture
def held(offered):
    return certified(offered.listing.product)


def history(session):
    return [(one.deed.value, one.state.value) for one in session.scalars(select(CertificateEvent))]


def test_a_suspension_takes_the_badge_and_stops_the_sale_until_it_is_lifted(session, offered, held, county):
    assert sale_stop(offered.listing, today()) is None
    suspend_certificate(session, county, held, reason=REASON)
    assert (standing(held, today()), sale_stop(offered.listing, today())) == (
        Standing.SUSPENDED,
        SaleStop.CERTIFICATE_LAPSED,
    )
    lift_suspension(session, county, held, reason="复检合格")
    assert sale_stop(offered.listing, today()) is None
    assert history(session) == [("passed", "valid"), ("suspended", "suspended"), ("lifted", "valid")]
    assert session.scalar(select(func.count()).select_from(IndexTask)) == 2


def test_a_revocation_is_for_good(session, held, county):
    revoke_certificate(session, county, held, reason=REASON)
    for turn in (suspend_certificate, lift_suspension, revoke_certificate):
        with pytest.raises(Conflict), session.begin_nested():
            turn(session, county, held, reason=REASON)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(Certificate).values(state=CertificateState.VALID))
    assert history(session)[1:] == [("revoked", "revoked")]


@pytest.mark.parametrize("changes", [{"number": "LB-18-2512149999A"}, {"expires_on": date(2030, 1, 1)}])
def test_a_certificate_that_was_valid_is_not_rewritten(session, held, changes):
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(Certificate).values(**changes))


def test_history_cannot_be_changed(session, held):
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(CertificateEvent).values(reason="另一个原因"))


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301, "联系人 360102199003078515 反映"])
def test_a_suspension_needs_a_reason_that_may_be_public(session, held, county, reason):
    with pytest.raises(DomainError) as refused, session.begin_nested():
        suspend_certificate(session, county, held, reason=reason)
    assert refused.value.field == "reason"
    assert (held.state, history(session)) == (CertificateState.VALID, [("passed", "valid")])


def test_only_the_county_suspends(session, held, offered):
    for actor, refusal in (
        (actor_at(offered.cooperative), Forbidden),
        (actor_of(official_with(Role.COUNTY_REVIEWER, "360827")), NotFound),
        (actor_of(official_with(Role.VILLAGE_REVIEWER)), Forbidden),
    ):
        with pytest.raises(refusal), session.begin_nested():
            suspend_certificate(session, actor, held, reason=REASON)
    assert held.state is CertificateState.VALID


def test_what_was_certified_when_sold_stays_so(session, offered, held, county, clock):
    order = buy(session, staff_buyer(), (offered, 2))
    line = order.parts[0].lines[0]
    assert line.certificate_no == held.number
    clock.advance(hours=1)
    suspend_certificate(session, county, held, reason=REASON)
    clock.advance(hours=1)
    revoke_certificate(session, county, held, reason=REASON)
    product_id = offered.listing.product_id
    assert in_force_at(session, product_id, clock.now) == []
    assert sale_proof(session, line.public_no).certificates == [held]
    assert in_force_at(session, product_id, order.placed_at) == [held]


def test_a_line_without_a_certificate_has_no_proof(session, clock):
    order = buy(session, staff_buyer(), (offer(session, CooperativeFactory()), 1))
    with pytest.raises(NotFound):
        sale_proof(session, order.parts[0].lines[0].public_no)


def test_a_certificate_that_ends_while_the_goods_are_in_a_cart_says_so_and_keeps_the_cart(
    session, offered, clock
):
    held = certified(offered.listing.product, expires_on=date(2026, 6, 2))
    buyer, wanted = staff_buyer(), {"kind": OrderKind.PERSONAL, "listing": offered.listing}
    put_in_cart(session, buyer, **wanted, quantity=1)
    clock.advance(days=1)
    with pytest.raises(Conflict) as refused, session.begin_nested():
        buy(session, buyer, (offered, 1))
    assert refused.value.code == "certificate_lapsed"
    (kept,) = session.scalars(select(CartLine))
    assert (kept.quantity, sale_stop(kept.listing, today())) == (1, SaleStop.CERTIFICATE_LAPSED)
    assert standing(held, today()) is Standing.EXPIRED
    drop_expired_badges(session)
    session.flush()
    assert session.scalars(select(IndexTask.listing_id)).all() == [offered.listing.id]


def test_the_renewal_waits_for_the_cooperative_from_ninety_days_before_the_end(session, held, offered, clock):
    default_steps()
    manager = actor_at(offered.cooperative)
    clock.set_to(clock.now.replace(month=10, day=2))
    assert tasks_of(session, manager) == []
    clock.advance(days=1)
    assert [(task.count, task.values) for task in tasks_of(session, manager)] == [(1, {"show": "ending"})]
    apply_certificate(
        session,
        manager,
        product=offered.listing.product,
        number="LB-18-2609140123A",
        enterprise_no="GF361025230123",
        issued_on=date(2026, 10, 1),
        expires_on=date(2029, 10, 1),
        renews=held,
    )
    assert tasks_of(session, manager) == []


# --- fee and waiver ---


def asked(session, held, offered, **changes):
    wish = {
        "fee_fen": 600_000,
        "payee": "省绿色食品中心",
        "asked_fen": 400_000,
        "basis": "赣农字〔2020〕8号第三条",
    }
    return state_fee(session, actor_at(offered.cooperative), held, **(wish | changes))


def test_a_fee_is_waived_by_somebody_else_and_counted(session, held, offered, county):
    fee = asked(session, held, offered)
    assert (fee.state, [task.count for task in tasks_of(session, county)]) == (WaiverState.ASKED, [1])
    decide_waiver(session, county, held, waived_fen=350_000)
    assert (fee.state, fee.waived_fen, tasks_of(session, county)) == (WaiverState.APPROVED, 350_000, [])
    for reader in (actor_at(offered.cooperative), county):
        (total,) = waived_totals(session, reader)
        assert (total.certificates, total.fee_fen, total.waived_fen) == (1, 600_000, 350_000)
    assert waived_totals(session, actor_at(CooperativeFactory())) == []
    assert [deed for deed, _ in history(session)] == [
        "passed",
        "fee_stated",
        "waiver_asked",
        "waiver_approved",
    ]
    with pytest.raises(Conflict), session.begin_nested():
        asked(session, held, offered)
    with pytest.raises(Conflict), session.begin_nested():
        decide_waiver(session, county, held, waived_fen=1)


def test_a_declined_waiver_may_be_asked_again(session, held, offered, county):
    fee = asked(session, held, offered)
    with pytest.raises(DomainError) as refused, session.begin_nested():
        decide_waiver(session, county, held, waived_fen=0)
    assert (refused.value.field, fee.state) == ("reason", WaiverState.ASKED)
    decide_waiver(session, county, held, waived_fen=0, reason="依据不适用")
    assert fee.state is WaiverState.DECLINED
    assert asked(session, held, offered, asked_fen=100_000).state is WaiverState.ASKED


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"fee_fen": 0}, "fee"),
        ({"fee_fen": -1}, "fee"),
        ({"payee": " "}, "payee"),
        ({"asked_fen": 600_001}, "asked"),
        ({"asked_fen": -1}, "asked"),
        ({"basis": ""}, "basis"),
    ],
)
def test_a_fee_that_cannot_be_is_refused(session, held, offered, changes, field):
    with pytest.raises(DomainError) as refused, session.begin_nested():
        asked(session, held, offered, **changes)
    assert refused.value.field == field
    assert session.scalar(select(func.count()).select_from(CertificateFee)) == 0


def test_no_more_is_waived_than_asked_and_not_by_who_asked(session, held, offered, county):
    fee = asked(session, held, offered)
    with pytest.raises(DomainError) as refused, session.begin_nested():
        decide_waiver(session, county, held, waived_fen=400_001)
    assert refused.value.field == "waived"
    with pytest.raises(Forbidden), session.begin_nested():
        decide_waiver(session, actor_at(offered.cooperative), held, waived_fen=1)
    with pytest.raises(NotFound), session.begin_nested():
        decide_waiver(session, actor_of(official_with(Role.COUNTY_REVIEWER, "360827")), held, waived_fen=1)
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(
            update(CertificateFee).values(
                state=WaiverState.APPROVED, waived_fen=1, decided_by=fee.asked_by, decided_at=fee.asked_at
            )
        )
    assert fee.state is WaiverState.ASKED


def test_lists_are_narrowed_to_what_one_may_see(session, held, offered, county):
    seen = lambda actor, show=Show.ALL: session.scalars(certificates_visible_to(actor, show)).all()  # noqa: E731
    assert seen(county) == [held] == seen(actor_at(offered.cooperative), Show.IN_FORCE)
    assert seen(actor_at(CooperativeFactory())) == []
    assert seen(actor_of(official_with(Role.COUNTY_REVIEWER, "360827"))) == []
    assert seen(county, Show.ENDED) == seen(county, Show.WAIVERS) == []
