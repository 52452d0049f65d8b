"""Pick-up vouchers: bought, paid, printed once, redeemed once, lapsed; every fen of them in the ledger."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from marketplace.audit.recompute.run import recompute_everything
from marketplace.core.clock import today
from marketplace.core.crypto import DataKey
from marketplace.core.db import session_maker
from marketplace.core.files import FileStore
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role
from marketplace.ledger.accounts import AccountKey
from marketplace.ledger.queries import balance
from marketplace.ordering.models import Order, OrderKind
from marketplace.ordering.states import PartState
from marketplace.payments.models import (
    BankLine,
    BankLineState,
    Payment,
    PaymentState,
    QueueReason,
    Settlement,
)
from marketplace.payments.rules import bill_accepted_parts
from marketplace.payments.settlement import settle_lines
from marketplace.payments.vouchers.counter import find_voucher, redeem_voucher, set_off_vouchers
from marketplace.payments.vouchers.models import (
    BatchState,
    Voucher,
    VoucherBatch,
    VoucherReturn,
    VoucherState,
)
from marketplace.payments.vouchers.rules import (
    Terms,
    approve_batch,
    ask_batch,
    cancel_batch,
    close_lapsed_batches,
    mark_returned,
    match_batch,
    print_vouchers,
)
from tests.conftest import HeldClock, MarketClient
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.trade import PRICE_FEN, UNIT_G, buy, offer
from tests.journeys.paper import Visitor
from tests.ordering.test_concurrency import all_at_once
from tests.payments.voucher_world import DAYS_GOOD, FACE_FEN, Union
from tests.procurement.canteen import refusal


@pytest.fixture
def union(session: Session, files: FileStore, data_key: DataKey, clock: HeldClock) -> Union:
    return Union(session, files, data_key)


def count(session: Session, table: type) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"count": 0}, "count"),
        ({"count": -1}, "count"),
        ({"count": 100_000}, "count"),
        ({"face_fen": 0}, "face"),
        ({"face_fen": 500_001}, "face"),
        ({"days": 0}, "valid_until"),
        ({"days": 731}, "valid_until"),
    ],
)
def test_terms_that_cannot_be_are_refused(union: Union, changes: dict[str, int], field: str) -> None:
    assert refusal(union.session, lambda: union.asked(**changes)).field == field
    assert count(union.session, VoucherBatch) == 0


def test_who_asks_does_not_approve_and_nothing_is_printed_before_it_is_paid(union: Union) -> None:
    session, batch = union.session, union.asked()
    both = actor_at(union.unit, Role.UNIT_ORDERER, Role.UNIT_APPROVER)
    own = ask_batch(
        session,
        both,
        cooperative=union.offered.cooperative,
        terms=Terms(1, FACE_FEN, today() + timedelta(days=9)),
        idempotency_key="a-batch-of-both",
    )
    assert refusal(session, lambda: approve_batch(session, both, own)).code == "own_order"
    stranger = actor_at(BuyerUnitFactory(), Role.UNIT_APPROVER)
    assert refusal(session, lambda: approve_batch(session, stranger, batch)).code == "not_found"
    approve_batch(session, union.approver, batch)
    error = refusal(session, lambda: print_vouchers(session, union.orderer, batch, union.key))
    assert (error.code, count(session, Voucher)) == ("batch_state", 0)
    assert union.asked() is batch


def test_money_that_is_a_fen_short_waits_for_a_person_and_a_cancelled_batch_takes_none(union: Union) -> None:
    session, batch = union.session, approve_batch(union.session, union.approver, union.asked())
    union.transfer(batch, "359.99")
    cancel_batch(session, union.orderer, batch)
    union.transfer(batch, "360.00", serial="V2")
    lines = session.scalars(select(BankLine).order_by(BankLine.id)).all()
    assert [(line.state, line.reason) for line in lines] == [
        (BankLineState.QUEUED, QueueReason.WRONG_AMOUNT),
        (BankLineState.QUEUED, QueueReason.CANCELLED),
    ]
    assert (batch.state, union.held_fen()) == (BatchState.CANCELLED, 0)


def test_a_person_says_what_a_queued_line_paid_for_and_only_the_exact_sum_will_do(union: Union) -> None:
    session, batch = union.session, approve_batch(union.session, union.approver, union.asked())
    union.transfer(batch, "359.99", serial="too-little")
    short = session.scalars(select(BankLine)).one()
    refusals = (
        ("amounts_differ", union.cashier, short, "单位来电"),
        ("note_missing", union.cashier, short, "  "),
        ("forbidden", union.orderer, short, "单位来电"),
    )
    for code, actor, line, note in refusals:
        error = refusal(session, lambda: match_batch(session, actor, batch, line, note=note))  # noqa: B023
        assert error.code == code
    assert (short.state, batch.state, union.held_fen()) == (BankLineState.QUEUED, BatchState.OPEN, 0)

    union.transfer(batch, "360.00", serial="no-code", remark="工会福利")
    line = session.scalars(select(BankLine).where(BankLine.serial_no == "no-code")).one()
    match_batch(session, union.cashier, batch, line, note="单位来电，漏填附言")
    assert (line.state, batch.state, union.held_fen()) == (BankLineState.RESOLVED, BatchState.PAID, 36_000)
    again = refusal(session, lambda: match_batch(session, union.cashier, batch, line, note="再来一次"))
    assert (again.code, union.findings()) == ("not_found", {})


def test_codes_are_shown_once_and_kept_nowhere(union: Union) -> None:
    batch, codes = union.printed()
    assert (len(set(codes)), {len(code) for code in codes}) == (3, {16})
    assert union.held_fen() == 36_000
    again = refusal(union.session, lambda: print_vouchers(union.session, union.orderer, batch, union.key))
    assert (again.code, count(union.session, Voucher)) == ("batch_state", 3)
    assert union.findings() == {}


def test_what_is_picked_up_is_sold_paid_from_the_voucher_and_settled(union: Union) -> None:
    session = union.session
    batch, codes = union.printed()
    typed = f" {codes[0][:4].lower()} {codes[0][4:]} "
    assert find_voucher(session, union.clerk, typed, union.key).face_fen == FACE_FEN
    voucher = union.redeem(typed)

    order = session.scalars(select(Order)).one()
    assert (order.kind, order.buyer_unit_id, order.total_fen) == (
        OrderKind.UNION,
        union.unit.id,
        2 * PRICE_FEN,
    )
    assert (order.parts[0].state, order.approved_by) == (PartState.ACCEPTED, union.approver.user_id)
    assert (voucher.state, voucher.order_id) == (VoucherState.REDEEMED, order.id)
    assert [bill_accepted_parts(session), set_off_vouchers(session), set_off_vouchers(session)] == [1, 1, 0]
    assert session.scalars(select(Payment)).one().state is PaymentState.PAID
    assert balance(session, AccountKey.buyer_receivable(union.unit.id)) == 0
    assert (union.held_fen(), batch.used_fen) == (26_000, 10_000)
    assert settle_lines(session) == 1
    assert session.scalar(select(Settlement.net_fen)) == 10_000
    session.expire_all()
    assert union.offered.lot.committed_g == 2 * UNIT_G
    assert union.findings() == {}
    assert recompute_everything(session).agrees


def test_a_code_that_is_unknown_used_lapsed_or_anothers_redeems_nothing(
    union: Union, clock: HeldClock
) -> None:
    session = union.session
    _batch, codes = union.printed()
    other = offer(session, CooperativeFactory())
    elsewhere = actor_at(other.cooperative, Role.COOPERATIVE_CLERK)
    assert refusal(session, lambda: union.redeem("0" * 16)).code == "voucher_unknown"
    assert refusal(session, lambda: union.redeem("")).code == "voucher_unknown"
    stolen = refusal(
        session,
        lambda: redeem_voucher(
            session, elsewhere, code=codes[0], key=union.key, listing=other.listing, quantity=1
        ),
    )
    assert stolen.code == "voucher_unknown"
    assert refusal(session, lambda: union.redeem(codes[0], 3)).code == "voucher_short"
    assert refusal(session, lambda: union.redeem(codes[0], 0)).code == "quantity"
    foreign = refusal(
        session,
        lambda: redeem_voucher(
            session, union.clerk, code=codes[0], key=union.key, listing=other.listing, quantity=1
        ),
    )
    assert foreign.code == "not_found"
    assert count(session, Order) == 0
    union.redeem(codes[0])
    assert refusal(session, lambda: union.redeem(codes[0])).code == "voucher_redeemed"
    clock.advance(days=DAYS_GOOD)
    union.redeem(codes[1])  # the last day
    clock.advance(days=1)
    assert refusal(session, lambda: union.redeem(codes[2])).code == "voucher_lapsed"
    assert count(session, Order) == 2


def test_what_was_not_used_goes_back_to_the_union_once(union: Union, clock: HeldClock) -> None:
    session = union.session
    batch, codes = union.printed()
    union.redeem(codes[0])
    clock.advance(days=DAYS_GOOD + 1)
    assert close_lapsed_batches(session) == 0  # the bill of what was picked up is not paid yet
    bill_accepted_parts(session)
    set_off_vouchers(session)
    assert [close_lapsed_batches(session), close_lapsed_batches(session)] == [1, 0]
    back = session.scalars(select(VoucherReturn)).one()
    assert (back.amount_fen, batch.state, union.held_fen()) == (26_000, BatchState.CLOSED, 0)
    states = session.scalars(select(Voucher.state).order_by(Voucher.id)).all()
    assert states == [VoucherState.REDEEMED, VoucherState.LAPSED, VoucherState.LAPSED]
    assert refusal(session, lambda: mark_returned(session, union.cashier, back, serial_no=" ")).field == (
        "serial_no"
    )
    mark_returned(session, union.cashier, back, serial_no="R-1")
    assert refusal(session, lambda: mark_returned(session, union.cashier, back, serial_no="R-2")).code == (
        "returned"
    )
    assert union.findings() == {}


def test_a_voucher_redeemed_twice_at_the_same_moment_is_redeemed_once(union: Union, engine: Engine) -> None:
    _batch, codes = union.printed()
    listing_no, clerk, key = union.offered.listing.public_no, union.clerk, union.key
    listing_id = union.offered.listing.id
    union.session.commit()

    def redeeming(own: Session) -> object:
        listing = own.get_one(type(union.offered.listing), listing_id)
        redeem_voucher(own, clerk, code=codes[0], key=key, listing=listing, quantity=1)
        return "redeemed"

    answers = all_at_once(engine, [redeeming] * 6)
    assert sorted(str(one) for one in answers) == ["redeemed"] + ["voucher_redeemed"] * 5
    with session_maker(engine)() as after:
        assert (count(after, Order), listing_no) == (1, union.offered.listing.public_no)
    union.session.expire_all()
    assert union.offered.lot.committed_g == UNIT_G


@pytest.mark.databases("sqlite")
def test_the_pages_lead_from_the_wish_to_the_counter(
    union: Union, client: MarketClient, session: Session
) -> None:
    visitor = Visitor(client)
    orderer, approver = user_of(union.unit, Role.UNIT_ORDERER), user_of(union.unit, Role.UNIT_APPROVER)
    client.sign_in(orderer)
    assert visitor.open("/vouchers").has("还没有提货券")
    form = visitor.open("/vouchers/new")
    typed = {"count": "2", "face": "120", "valid_until": "2026-07-01"}
    assert visitor.press(form, "提交审批", **{**typed, "count": "0"}, status=422).has("张数须是 1 到 500")
    assert visitor.press(form, "提交审批", **{**typed, "valid_until": "2026-06-01"}, status=422).has(
        "有效期须在"
    )
    page = visitor.press(form, "提交审批", **typed)
    assert page.has("等待审批", "240.00")
    batch = session.scalars(select(VoucherBatch)).one()
    client.sign_in(approver)
    assert visitor.open("/desk").has("1 批提货券待审批")
    page = visitor.press(visitor.open(f"/vouchers/{batch.public_no}"), "批准购券")
    assert page.has(batch.remittance_code)
    union.transfer(batch, "240.00")
    client.sign_in(orderer)
    sheet = visitor.press(visitor.open(f"/vouchers/{batch.public_no}"), "制券并打印")
    assert sheet.has("请现在打印或保存", "120.00")
    assert visitor.open(f"/vouchers/{batch.public_no}").has("已制券")
    client.sign_in(user_of(union.offered.cooperative, Role.COOPERATIVE_CLERK))
    page = visitor.open("/counter")
    assert visitor.press(page, "查这张券", code="0000 0000 0000 0000", status=422).has("没有这张券")


@pytest.mark.databases("sqlite")
def test_the_cashier_finds_what_a_line_without_a_code_paid_for(
    union: Union, client: MarketClient, session: Session
) -> None:
    visitor, batch = Visitor(client), approve_batch(session, union.approver, union.asked())
    union.transfer(batch, "360.00", serial="no-code", remark="工会福利")
    client.sign_in(official_with(Role.OPERATOR))
    line = session.scalars(select(BankLine)).one()
    page = visitor.open(f"/cashier/queue/{line.public_no}")
    page = visitor.open(page.link(batch.public_no))
    assert page.has("待核对的到账里金额相同的", "no-code")
    page = visitor.press(page, "就是这批券款", note="单位来电，漏填附言")
    assert page.has("已登记处理结果", "已到账")
    assert session.get_one(VoucherBatch, batch.id).state is BatchState.PAID


@pytest.mark.databases("sqlite")
def test_the_qr_code_leads_to_the_counter_to_one_s_orders_or_to_signing_in(
    union: Union, client: MarketClient, session: Session
) -> None:
    visitor, (_batch, codes) = Visitor(client), union.printed()
    assert visitor.open("/redeem").has("登录后再扫一次券上的二维码")
    staff = UserFactory(granted=(Role.STAFF_BUYER,))
    client.sign_in(staff)
    page = visitor.open("/redeem")
    assert visitor.press(page, "查这张券", code="0" * 16, status=422).has("没有尾号 0000 的券")
    assert visitor.press(page, "查这张券", code=codes[0]).has("120.00", "去选购")
    order = buy(session, actor_of(staff), (union.offered, 2))
    found = visitor.press(page, "查这张券", code=codes[0])
    assert visitor.press(found, f"用在订单 {order.public_no}").has("用这些券付清", "100.00")
    client.sign_in(user_of(union.offered.cooperative, Role.COOPERATIVE_CLERK))
    assert visitor.press(visitor.open("/redeem"), "查这张券", code=codes[0]).has("这张券有效", "核销并交货")
