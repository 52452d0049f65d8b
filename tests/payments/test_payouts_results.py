"""The bank's answers: paid, failed, unknown; findings by row and column; the same answer twice changes nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.ledger.checks import run_checks
from marketplace.ledger.models import Entry, EntryKind
from marketplace.ledger.queries import household_totals
from marketplace.ledger.verify import CHECKS as LEDGER_CHECKS
from marketplace.payments.payouts.models import BatchState, FailKind, PayoutResult, PayoutState, SheetState
from marketplace.payments.payouts.queries import Problem, Scope, plan_of, tasks_of
from marketplace.payments.payouts.results import examine_result, fail_kind_of, import_result, take_result
from marketplace.payments.payouts.verify import CHECKS
from tests.payments.payout_world import HEADER, PayoutWorld, row, world


def findings(session: Session) -> list[str]:
    return [
        str(finding)
        for result in run_checks(session, (*LEDGER_CHECKS, *CHECKS))
        for finding in result.findings
    ]


def entries(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Entry)) or 0


def states(made: PayoutWorld, result: PayoutResult) -> list[PayoutState]:
    return [payout.state for payout in made.payouts(result.batch)]


def test_paid_failed_and_unknown_each_go_their_way(session: Session, files: FileStore) -> None:
    made = world(session)
    batch = made.sent(files)
    first, second, third = made.payouts(batch)
    result = made.answer(files, batch, row(first), row(second, "失败", "账号已销户"), row(third, "处理中"))
    assert states(made, result) == [PayoutState.PAID, PayoutState.FAILED, PayoutState.UNKNOWN]
    assert (made.bank(), made.clearing()) == (-5_000, 9_000)
    assert [made.payable(one) for one in made.households] == [0, 7_000, 0]
    assert (result.rows_paid, result.rows_failed, result.rows_unknown, result.rows_bad) == (1, 1, 1, 0)
    assert (second.fail_kind, second.fail_reason) == (FailKind.ACCOUNT, "账号已销户")
    assert batch.state is BatchState.SENT
    totals = household_totals(session, [one.id for one in made.households])
    assert [totals[one.id].paid_out_fen for one in made.households] == [5_000, 0, 9_000]
    assert findings(session) == []


def test_an_unknown_payout_is_answered_by_a_later_file(session: Session, files: FileStore) -> None:
    made = world(session, (5_000, 7_000))
    batch = made.sent(files)
    first, second = made.payouts(batch)
    made.answer(files, batch, row(first), row(second, "未知"))
    result = made.answer(files, batch, row(first), row(second))
    assert states(made, result) == [PayoutState.PAID, PayoutState.PAID]
    assert (result.rows_paid, result.rows_unchanged) == (1, 1)
    assert (batch.state, made.clearing(), made.bank()) == (BatchState.FINISHED, 0, -12_000)
    assert findings(session) == []


def test_the_same_file_twice_is_the_first_result(session: Session, files: FileStore) -> None:
    made = world(session, (5_000,))
    batch = made.sent(files)
    (payout,) = made.payouts(batch)
    first = made.answer(files, batch, row(payout))
    before = entries(session)
    assert made.answer(files, batch, row(payout)) is first
    assert (entries(session), made.bank()) == (before, -5_000)
    assert session.scalar(select(func.count()).select_from(PayoutResult)) == 1


def test_another_file_with_the_same_answers_changes_nothing(session: Session, files: FileStore) -> None:
    made = world(session, (5_000, 7_000))
    batch = made.sent(files)
    first, second = made.payouts(batch)
    made.answer(files, batch, row(first), row(second, "失败", "账号不存在"))
    before = entries(session)
    again = made.answer(files, batch, row(second, "退票", "账号不存在"), row(first, "已入账"))
    assert (again.rows_unchanged, again.rows_paid, again.rows_failed, again.rows_bad) == (2, 0, 0, 0)
    assert entries(session) == before


def found_in(made: PayoutWorld, files: FileStore, result: PayoutResult) -> list[tuple[int, str, str]]:
    examined = examine_result(made.session, files, result)
    return [(one.row, one.column, one.code) for one in examined.findings]


@pytest.mark.parametrize(
    ("change", "column", "code"),
    [
        (lambda payout, _other: row(payout, amount="50.01"), "金额", "result_amount"),
        (lambda payout, _other: row(payout, amount="49.99"), "金额", "result_amount"),
        (lambda payout, _other: row(payout, amount="五十"), "金额", "result_amount_form"),
        (lambda payout, _other: row(payout, amount="-50.00"), "金额", "result_amount_form"),
        (lambda payout, _other: row(payout, "还行"), "结果", "result_word"),
        (lambda payout, _other: row(payout, ""), "结果", "result_word"),
        (lambda _payout, other: row(other), "发放编号", "other_batch"),
        (lambda _payout, _other: "PO-0000000000000,50.00,成功,", "发放编号", "unknown_reference"),
        (lambda _payout, _other: ",50.00,成功,", "发放编号", "unknown_reference"),
        (lambda _payout, _other: "=1+1,50.00,成功,", "发放编号", "unknown_reference"),
    ],
)
def test_a_bad_row_is_found_by_row_and_column_and_the_good_ones_are_taken(
    session: Session, files: FileStore, change: object, column: str, code: str
) -> None:
    made, elsewhere = world(session, (5_000, 7_000)), world(session, (5_000,))
    batch, foreign = made.sent(files), elsewhere.sent(files)
    first, second = made.payouts(batch)
    result = made.bring(files, batch, row(second), change(first, elsewhere.payouts(foreign)[0]))  # type: ignore[operator]
    assert found_in(made, files, result) == [(3, column, code)]
    before = entries(session)
    take_result(session, made.clerk, files, result)
    assert states(made, result) == [PayoutState.SENT, PayoutState.PAID]
    assert (entries(session), result.rows_bad) == (before + 1, 1)
    assert [(one["row"], one["column"], one["code"]) for one in result.findings] == [(3, column, code)]
    assert elsewhere.payouts(foreign)[0].state is PayoutState.SENT
    assert findings(session) == []


def test_a_file_of_another_batch_takes_nothing(session: Session, files: FileStore) -> None:
    made, elsewhere = world(session), world(session)
    batch, foreign = made.sent(files), elsewhere.sent(files)
    result = made.bring(files, batch, *(row(one) for one in elsewhere.payouts(foreign)))
    before = entries(session)
    with pytest.raises(Refused) as refusal:
        take_result(session, made.clerk, files, result)
    assert refusal.value.code == "nothing_to_take"
    assert (entries(session), result.state) == (before, SheetState.CHECKED)
    assert {code for _row, _column, code in found_in(made, files, result)} == {"other_batch"}


def test_a_reference_twice_in_a_file_is_for_a_person(session: Session, files: FileStore) -> None:
    made = world(session, (5_000, 7_000))
    batch = made.sent(files)
    first, second = made.payouts(batch)
    result = made.bring(files, batch, row(first), row(second), row(first, "失败"))
    assert found_in(made, files, result) == [
        (2, "发放编号", "reference_repeated"),
        (4, "发放编号", "reference_repeated"),
    ]
    take_result(session, made.clerk, files, result)
    assert states(made, result) == [PayoutState.SENT, PayoutState.PAID]


@pytest.mark.parametrize(
    ("first", "then", "code"),
    [
        ("成功", "失败", "paid_then_failed"),
        ("失败", "成功", "failed_then_paid"),
        ("成功", "处理中", "answered_before"),
        ("失败", "处理中", "answered_before"),
    ],
)
def test_an_answer_that_contradicts_an_earlier_one_is_refused(
    session: Session, files: FileStore, first: str, then: str, code: str
) -> None:
    made = world(session, (5_000,))
    batch = made.sent(files)
    (payout,) = made.payouts(batch)
    made.answer(files, batch, row(payout, first))
    before, state = entries(session), payout.state
    result = made.bring(files, batch, row(payout, then))
    assert found_in(made, files, result) == [(2, "结果", code)]
    with pytest.raises(Refused):
        take_result(session, made.clerk, files, result)
    assert (entries(session), payout.state) == (before, state)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\x00\x01\x02", "not_a_sheet"),
        ("姓名,金额\n张三,5".encode(), "sheet_header"),
        (HEADER.encode(), "sheet_empty"),
    ],
)
def test_a_file_that_is_no_result_is_refused(
    session: Session, files: FileStore, content: bytes, code: str
) -> None:
    made = world(session, (5_000,))
    batch = made.sent(files)
    with pytest.raises(Refused) as refusal:
        import_result(session, made.clerk, files, batch, content=content, file_name="x.csv")
    assert refusal.value.code == code
    assert session.scalar(select(func.count()).select_from(PayoutResult)) == 0


def test_a_file_in_gbk_is_read(session: Session, files: FileStore) -> None:
    made = world(session, (5_000,))
    batch = made.sent(files)
    (payout,) = made.payouts(batch)
    content = f"{HEADER}\r\n{row(payout, '退票', '户名不符')}\r\n".encode("gbk")
    result = import_result(session, made.clerk, files, batch, content=content, file_name="x.csv")
    take_result(session, made.clerk, files, result)
    assert (payout.state, payout.fail_reason) == (PayoutState.FAILED, "户名不符")


def test_results_are_for_a_sent_batch_of_one_s_own(session: Session, files: FileStore) -> None:
    made, other = world(session), world(session)
    batch = made.prepare()
    with pytest.raises(Conflict):
        made.bring(files, batch, "x,1,成功,")
    with pytest.raises(NotFound):
        import_result(session, other.clerk, files, batch, content=b"a,b", file_name="x.csv")


def test_a_failed_payout_waits_for_a_new_account_and_is_then_paid(session: Session, files: FileStore) -> None:
    made = world(session, (5_000,))
    batch = made.sent(files)
    made.answer(files, batch, row(made.payouts(batch)[0], "失败", "账号户名不符"))
    assert batch.state is BatchState.FINISHED
    with pytest.raises(Refused):
        made.prepare()
    scope = Scope(cooperative_id=made.cooperative.id)
    plan = plan_of(session, scope, minimum_fen=1, up_to_on=batch.up_to_on, layout=batch.layout)
    assert [due.problem for due in plan.held] == [Problem.REFUSED]
    assert {task.message: task.count for task in tasks_of(session, made.clerk)} == {
        "%(count)s 笔发放失败待更正": 1
    }
    made.account(made.households[0])
    again = made.sent(files)
    made.answer(files, again, row(made.payouts(again)[0]))
    assert (made.bank(), made.payable(made.households[0])) == (-5_000, 0)
    confirmed = select(func.count()).where(Entry.kind == EntryKind.PAYOUT_CONFIRMED)
    assert session.scalar(confirmed) == 1
    assert findings(session) == []


def test_what_failed_at_the_bank_goes_again_at_once(session: Session, files: FileStore) -> None:
    made = world(session, (5_000,))
    batch = made.sent(files)
    made.answer(files, batch, row(made.payouts(batch)[0], "失败", "银行系统超时"))
    assert made.payouts(made.prepare())[0].amount_fen == 5_000


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("账号不存在", FailKind.ACCOUNT),
        ("户名不符", FailKind.ACCOUNT),
        ("银行账户已冻结", FailKind.ACCOUNT),
        ("系统超时", FailKind.BANK),
        ("超过单日限额", FailKind.BANK),
        ("银行未说明原因", FailKind.ACCOUNT),
        ("其他", FailKind.ACCOUNT),
    ],
)
def test_whose_turn_it_is_after_a_failure(reason: str, kind: FailKind) -> None:
    assert fail_kind_of(reason) is kind


def test_a_reason_keeps_no_long_number(session: Session, files: FileStore) -> None:
    made = world(session, (5_000,))
    batch = made.sent(files)
    (payout,) = made.payouts(batch)
    made.answer(files, batch, row(payout, "失败", "账号6217000000000001不存在"))
    assert payout.fail_reason == "账号…不存在"
