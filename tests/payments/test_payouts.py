"""Payout batches: who prepares and who agrees, what the ledger holds, the bank's file, refusals that change nothing."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.db import session_maker
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.identity.actors import actor_of
from marketplace.identity.models import Role, TrailEntry
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.verify import CHECKS as LEDGER_CHECKS
from marketplace.payments.payouts.account_numbers import make_account_number
from marketplace.payments.payouts.files import shipped_layouts
from marketplace.payments.payouts.models import (
    BatchState,
    DropReason,
    Payout,
    PayoutBatch,
    PayoutState,
)
from marketplace.payments.payouts.queries import (
    Problem,
    Scope,
    batch_by_no,
    payouts_of_household,
    plan_of,
    tasks_of,
)
from marketplace.payments.payouts.rules import (
    approve_batch,
    cancel_batch,
    open_bank_file,
    prepare_batch,
    send_batch,
)
from marketplace.payments.payouts.verify import CHECKS
from tests.conftest import HeldClock
from tests.factories.identity import actor_with, official_with
from tests.factories.registry import (
    KEY,
    OTHER_COUNTY_VILLAGE,
    CooperativeFactory,
    EnrolmentFactory,
    RegionFactory,
    actor_at,
)
from tests.payments.payout_world import row, world


def findings(session: Session) -> list[str]:
    return [
        str(finding)
        for result in run_checks(session, (*LEDGER_CHECKS, *CHECKS))
        for finding in result.findings
    ]


def entries(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Entry)) or 0


# --- preparing ---


def test_a_batch_holds_each_household_with_a_balance_and_an_account(session: Session) -> None:
    made = world(session, (5_000, 7_000, 999))
    batch = made.prepare()
    assert [(one.household_id, one.amount_fen, one.state) for one in made.payouts(batch)] == [
        (made.households[0].id, 5_000, PayoutState.PREPARED),
        (made.households[1].id, 7_000, PayoutState.PREPARED),
    ]
    assert (batch.state, batch.payouts_count, batch.total_fen) == (BatchState.PREPARED, 2, 12_000)
    assert made.payable(made.households[0]) == 5_000  # preparing moves nothing


def test_who_lacks_an_account_is_held_back_and_named(session: Session) -> None:
    made = world(session, (5_000, 7_000), accounts=False)
    made.account(made.households[0])
    layout = shipped_layouts()["generic_csv"]
    plan = plan_of(
        session,
        Scope(cooperative_id=made.cooperative.id),
        minimum_fen=1_000,
        up_to_on=today(),
        layout=layout,
    )
    assert [(due.household.id, due.problem) for due in plan.held] == [
        (made.households[1].id, Problem.NO_ACCOUNT)
    ]
    assert (plan.total_fen, plan.below_count) == (5_000, 0)
    counts = {task.message: task.count for task in tasks_of(session, made.clerk)}
    assert counts == {"%(count)s 户还没有收款账号": 1}


def test_what_was_credited_after_the_day_stays(session: Session, clock: HeldClock) -> None:
    made = world(session, (5_000,))
    clock.advance(days=1)
    made.credit(made.households[0], 300)
    batch = prepare_batch(
        session,
        made.clerk,
        up_to_on=today() - timedelta(days=1),
        layout_code="generic_csv",
        idempotency_key="up-to-yesterday-only",
    )
    assert [one.amount_fen for one in made.payouts(batch)] == [5_000]


def test_money_taken_back_after_the_day_is_not_paid(session: Session, clock: HeldClock) -> None:
    made = world(session, (5_000,))
    clock.advance(days=1)
    made.take_back(made.households[0], 1_500)
    batch = prepare_batch(
        session,
        made.clerk,
        up_to_on=today() - timedelta(days=1),
        layout_code="generic_csv",
        idempotency_key="up-to-yesterday-only",
    )
    assert [one.amount_fen for one in made.payouts(batch)] == [3_500]


def test_the_same_key_gives_the_first_batch(session: Session) -> None:
    made = world(session)
    first = made.prepare(key="the-same-key-twice")
    assert made.prepare(key="the-same-key-twice") is first
    assert session.scalar(select(func.count()).select_from(Payout)) == 3


def test_a_household_is_in_one_batch_at_a_time(session: Session) -> None:
    made = world(session)
    made.prepare()
    with pytest.raises(Refused) as refusal:
        made.prepare()
    assert refusal.value.code == "nothing_to_pay"
    twin = made.payouts(session.scalars(select(PayoutBatch)).one())[0]
    batch = PayoutBatch(
        idempotency_key="another",
        cooperative_id=made.cooperative.id,
        minimum_fen=1,
        up_to_on=today(),
        layout={},
        prepared_by=made.clerk.user_id,
    )
    session.add(batch)
    session.flush()
    again = Payout(
        batch_id=batch.id,
        household_id=twin.household_id,
        cooperative_id=twin.cooperative_id,
        account_id=twin.account_id,
        prepared_fen=1,
        amount_fen=1,
    )
    session.add(again)
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"minimum_fen": 0}, "minimum_range"),
        ({"minimum_fen": -100}, "minimum_range"),
        ({"minimum_fen": 100_000_001}, "minimum_range"),
        ({"layout_code": "no such"}, "unknown_layout"),
        ({"up_to_on": None}, "up_to_future"),
        ({"minimum_fen": 10_000}, "nothing_to_pay"),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused(
    session: Session, wrong: dict[str, object], code: str
) -> None:
    made = world(session)
    asked = {
        "minimum_fen": 1_000,
        "up_to_on": today(),
        "layout_code": "generic_csv",
        "idempotency_key": "a-batch-that-makes-no-sense",
    } | wrong
    asked["up_to_on"] = asked["up_to_on"] or today() + timedelta(days=1)
    with pytest.raises(Refused) as refusal:
        prepare_batch(session, made.clerk, **asked)  # type: ignore[arg-type]
    assert refusal.value.code == code
    assert session.scalar(select(func.count()).select_from(PayoutBatch)) == 0


def test_a_county_pays_all_its_cooperatives_and_no_other_county_s(session: Session) -> None:
    made, second = world(session, (5_000,)), world(session, (6_000,))
    elsewhere = CooperativeFactory(place=RegionFactory(code=OTHER_COUNTY_VILLAGE))
    made.credit(made.households[0], 4_000, cooperative=elsewhere)
    county = actor_of(official_with(Role.COUNTY_REVIEWER))
    batch = prepare_batch(
        session, county, up_to_on=today(), layout_code="generic_csv", idempotency_key="the-county-s-batch"
    )
    found = {(one.cooperative_id, one.household_id): one.amount_fen for one in made.payouts(batch)}
    assert found == {
        (made.cooperative.id, made.households[0].id): 5_000,
        (second.cooperative.id, second.households[0].id): 6_000,
    }
    with pytest.raises(NotFound):
        batch_by_no(session, made.manager, batch.public_no)
    with pytest.raises(NotFound):
        approve_batch(session, made.manager, batch)


def test_only_those_who_prepare_payouts_prepare_them(session: Session) -> None:
    world(session)
    for actor in (actor_with(Role.AUDITOR), actor_with(Role.VILLAGE_REVIEWER), actor_with(Role.STAFF_BUYER)):
        with pytest.raises(Forbidden):
            prepare_batch(
                session,
                actor,
                up_to_on=today(),
                layout_code="generic_csv",
                idempotency_key="not-for-me-at-all",
            )


# --- approving ---


def test_approving_posts_each_payout_once(session: Session) -> None:
    made = world(session)
    batch = approve_batch(session, made.manager, made.prepare())
    assert [one.state for one in made.payouts(batch)] == [PayoutState.SENT] * 3
    assert (made.clearing(), [made.payable(one) for one in made.households]) == (21_000, [0, 0, 0])
    keys = session.scalars(
        select(Entry.idempotency_key).where(Entry.kind == EntryKind.PAYOUT_SENT).order_by(Entry.id)
    ).all()
    assert sorted(keys) == sorted(f"payout:{one.public_no}:sent" for one in made.payouts(batch))
    assert findings(session) == []


def test_who_prepared_does_not_approve(session: Session) -> None:
    made = world(session)
    batch = prepare_batch(
        session, made.manager, up_to_on=today(), layout_code="generic_csv", idempotency_key="by-the-manager"
    )
    before = entries(session)
    with pytest.raises(Forbidden) as refusal:
        approve_batch(session, made.manager, batch)
    assert refusal.value.code == "approver_prepared"
    assert (batch.state, entries(session), made.clearing()) == (BatchState.PREPARED, before, 0)
    assert approve_batch(session, actor_at(made.cooperative), batch).state is BatchState.APPROVED


def test_the_database_knows_two_people(session: Session) -> None:
    made = world(session)
    batch = approve_batch(session, made.manager, made.prepare())
    batch.approved_by = batch.prepared_by
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


def test_a_clerk_does_not_approve_and_another_cooperative_finds_nothing(session: Session) -> None:
    made, other = world(session), world(session)
    batch = made.prepare()
    with pytest.raises(Forbidden):
        approve_batch(session, actor_at(made.cooperative, Role.COOPERATIVE_CLERK), batch)
    with pytest.raises(NotFound):
        approve_batch(session, other.manager, batch)
    with pytest.raises(NotFound):
        batch_by_no(session, other.manager, batch.public_no)
    assert (batch.state, made.clearing()) == (BatchState.PREPARED, 0)


def test_a_batch_is_approved_once(session: Session) -> None:
    made = world(session)
    batch = approve_batch(session, made.manager, made.prepare())
    before = entries(session)
    with pytest.raises(Conflict):
        approve_batch(session, made.manager, batch)
    assert entries(session) == before


@pytest.mark.databases("postgresql")
def test_of_two_who_approve_at_once_one_is_told(engine: Engine, session: Session) -> None:
    made = world(session)
    batch, other = made.prepare(), actor_at(made.cooperative)
    key = batch.id
    session.commit()
    start, outcomes = Barrier(2), []

    def approve(actor: object) -> None:
        with session_maker(engine)() as own:
            start.wait()
            try:
                approve_batch(own, actor, own.get_one(PayoutBatch, key))  # type: ignore[arg-type]
                own.commit()
                outcomes.append("approved")
            except DomainError as error:
                own.rollback()
                outcomes.append(error.code)

    threads = [Thread(target=approve, args=(actor,)) for actor in (made.manager, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.expire_all()
    assert sorted(outcomes) == ["approved", "batch_not_prepared"]
    assert made.clearing() == 21_000
    assert findings(session) == []


def test_a_refund_since_preparing_lowers_or_drops_a_payout(session: Session) -> None:
    made = world(session)
    batch = made.prepare()
    made.take_back(made.households[0], 2_000)
    made.take_back(made.households[1], 6_500)
    approve_batch(session, made.manager, batch)
    found = [(one.prepared_fen, one.amount_fen, one.state, one.drop_reason) for one in made.payouts(batch)]
    assert found == [
        (5_000, 3_000, PayoutState.SENT, None),
        (7_000, 7_000, PayoutState.CANCELLED, DropReason.BALANCE),
        (9_000, 9_000, PayoutState.SENT, None),
    ]
    assert (batch.payouts_count, batch.total_fen, made.clearing()) == (2, 12_000, 12_000)
    assert made.payable(made.households[1]) == 500
    assert findings(session) == []


def test_a_replaced_account_waits_for_the_next_batch(session: Session) -> None:
    made = world(session)
    batch = made.prepare()
    made.account(made.households[0])
    approve_batch(session, made.manager, batch)
    assert made.payouts(batch)[0].drop_reason is DropReason.ACCOUNT
    assert [one.amount_fen for one in made.payouts(made.prepare())] == [5_000]


def test_a_batch_with_nothing_left_is_refused_and_can_be_cancelled(session: Session) -> None:
    made = world(session, (5_000,))
    batch = made.prepare()
    made.take_back(made.households[0], 5_000)
    session.commit()
    with pytest.raises(Refused) as refusal:
        approve_batch(session, made.manager, batch)
    assert refusal.value.code == "nothing_left"
    session.rollback()
    assert (batch.state, made.clearing()) == (BatchState.PREPARED, 0)
    cancel_batch(session, made.clerk, batch)
    assert (batch.state, made.payouts(batch)[0].state) == (BatchState.CANCELLED, PayoutState.CANCELLED)
    with pytest.raises(Conflict):
        cancel_batch(session, made.clerk, batch)


# --- the bank's file ---


def test_the_file_names_each_payout_and_is_the_same_each_time(session: Session, files: FileStore) -> None:
    made = world(session)
    number = make_account_number(123_456_789)
    made.account(made.households[0], number)
    batch = made.sent(files)
    content = open_bank_file(session, made.manager, files, batch)
    assert content.startswith(b"\xef\xbb\xbf")
    lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    first = made.payouts(batch)[0]
    assert lines[0] == ["发放编号", "户名", "银行账号", "开户银行", "金额（元）", "附言"]
    assert lines[1] == [
        first.public_no,
        made.households[0].head_name,
        f"\t{number}",
        "江西农商银行乐安支行",
        "50.00",
        "联结收益",
    ]
    assert (len(lines), batch.state) == (4, BatchState.SENT)
    made.account(made.households[1])  # a later change is no business of this file
    send_batch(session, KEY, files, batch)
    assert open_bank_file(session, made.clerk, files, batch) == content
    downloads = select(func.count()).where(TrailEntry.action == "payments.download_payouts")
    assert session.scalar(downloads) == 2


def test_the_file_lies_sealed(session: Session, files: FileStore) -> None:
    made = world(session, (5_000,))
    number = make_account_number(42)
    made.account(made.households[0], number)
    made.sent(files)
    stored = [path.read_bytes() for path in files.root.rglob("*") if path.is_file()]
    assert stored
    assert not any(number.encode() in content for content in stored)


def test_the_one_card_layout_has_widths_totals_and_fen(session: Session, files: FileStore) -> None:
    made = world(session, (5_000, 7_050))
    batch = made.sent(files, layout="one_card_fixed")
    content = open_bank_file(session, made.manager, files, batch)
    lines = content.split(b"\r\n")
    assert [len(line) for line in lines] == [49, 218, 218, 25, 0]
    assert lines[0].decode("gbk") == f"H{batch.public_no:<16}{today():%Y%m%d}000000020000000000012050"
    assert lines[1][1:9] == b"00000001"
    assert lines[2][-34:-20] == b"00000000007050"
    assert lines[3] == b"T000000020000000000012050"


def test_a_file_is_downloaded_in_scope_alone(session: Session, files: FileStore) -> None:
    made, other = world(session), world(session)
    batch = made.prepare()
    with pytest.raises(Conflict):
        open_bank_file(session, made.manager, files, batch)
    approve_batch(session, made.manager, batch)
    send_batch(session, KEY, files, batch)
    for stranger in (other.manager, actor_with(Role.AUDITOR), actor_with(Role.COUNTY_REVIEWER)):
        with pytest.raises(NotFound):
            open_bank_file(session, stranger, files, batch)


def test_a_name_the_bank_cannot_read_is_held_back(session: Session) -> None:
    made = world(session, (5_000,), accounts=False)
    made.households[0].head_name = "陈𬭩"
    made.account(made.households[0])
    with pytest.raises(Refused):
        made.prepare(layout="one_card_fixed")
    assert made.prepare(layout="generic_csv").payouts_count == 1


# --- a household's history ---


def test_a_household_sees_what_was_sent(session: Session, files: FileStore, clock: HeldClock) -> None:
    made = world(session)
    batch = made.sent(files)
    household = made.households[0]
    account = made.payouts(batch)[0].account
    assert [
        (one.amount_fen, one.state, one.last_four, one.at)
        for one in payouts_of_household(session, household.id)
    ] == [(5_000, PayoutState.SENT, account.last_four, clock.now)]
    made.answer(files, batch, row(made.payouts(batch)[0], "失败", "账号不存在"))
    (paid,) = payouts_of_household(session, household.id)
    assert (paid.state, paid.reason) == (PayoutState.FAILED, "账号不存在")
    assert payouts_of_household(session, made.households[1].id)[0].amount_fen == 7_000


def test_tasks_name_what_waits(session: Session) -> None:
    made = world(session)
    made.prepare()
    assert {task.message: task.count for task in tasks_of(session, made.manager)} == {
        "%(count)s 批发放待复核": 1
    }
    assert tasks_of(session, made.clerk) == []
    assert tasks_of(session, actor_with(Role.STAFF_BUYER)) == []
    EnrolmentFactory(cooperative=made.cooperative)  # nothing was credited to it yet
    assert tasks_of(session, made.clerk) == []
