"""Household bank accounts: the number's check digit, whose account it may be, sheets, reveals."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO

import openpyxl
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.core.clock import today
from marketplace.core.errors import Conflict, Forbidden, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.identity.actors import Actor, actor_of
from marketplace.identity.models import Role, TrailEntry
from marketplace.payments.payouts.account_numbers import check_account_number, luhn_digit, make_account_number
from marketplace.payments.payouts.account_queries import account_of, households_to_record
from marketplace.payments.payouts.account_rules import number_of, record_account, reveal_account
from marketplace.payments.payouts.account_sheets import (
    COLUMNS,
    examine_accounts,
    take_accounts,
    upload_accounts,
)
from marketplace.payments.payouts.account_template import template
from marketplace.payments.payouts.models import AccountSheet, HouseholdBankAccount, SheetState
from marketplace.payments.payouts.sheets import read_sheet
from marketplace.registry.models import Household
from tests.factories.identity import actor_with, official_with
from tests.factories.registry import (
    KEY,
    NEXT_VILLAGE,
    CooperativeFactory,
    HouseholdFactory,
    HouseholdMemberFactory,
    RegionFactory,
    actor_at,
)
from tests.payments.payout_world import PayoutWorld, world

GOOD = make_account_number(8_888)
HEADER = "户编号,户主姓名,开户人,开户银行,银行账号"


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(HouseholdBankAccount)) or 0


def record(
    session: Session, actor: Actor, household: Household, number: str = GOOD, **other: object
) -> HouseholdBankAccount:
    asked = {
        "account_number": number,
        "holder_name": household.head_name,
        "bank_name": "江西农商银行",
        "valid_from": today(),
    } | other
    return record_account(session, actor, KEY, household, **asked)  # type: ignore[arg-type]


# --- the number ---


@pytest.mark.parametrize("length", [16, 17, 18, 19])
def test_numbers_of_sixteen_to_nineteen_digits_with_their_check_digit_are_taken(length: int) -> None:
    body = "6217" + "0" * (length - 6) + "7"
    number = body + luhn_digit(body)
    assert len(number) == length
    assert check_account_number(f" {number[:4]} {number[4:8]}-{number[8:]} ") == number


def test_a_known_number_has_the_known_check_digit() -> None:
    assert luhn_digit("7992739871") == "3"
    assert check_account_number("4242 4242 4242 4242") == "4242424242424242"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "account_characters"),
        ("62170000000000000O", "account_characters"),
        ("421000000000000", "account_length"),
        ("62170000000000000000", "account_length"),
        ("4242424242424243", "account_check"),
        ("2442424242424242", "account_check"),
    ],
)
def test_a_number_that_fails_its_check_is_refused(text: str, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        check_account_number(text)
    assert (refusal.value.code, refusal.value.field) == (code, "account_number")
    assert text not in str(refusal.value) or not text


def test_one_wrong_digit_is_always_noticed() -> None:
    for place in range(len(GOOD)):
        wrong = GOOD[:place] + str((int(GOOD[place]) + 1) % 10) + GOOD[place + 1 :]
        with pytest.raises(Refused):
            check_account_number(wrong)


# --- recording ---


def test_an_account_is_sealed_and_shows_four_digits(session: Session) -> None:
    made = world(session, (0,), accounts=False)
    account = record(session, made.clerk, made.households[0])
    assert account.last_four == GOOD[-4:]
    assert GOOD.encode() not in account.number_sealed
    assert number_of(KEY, account) == GOOD
    assert account_of(session, made.households[0].id) is account


def test_a_new_account_replaces_the_old_one(session: Session) -> None:
    made = world(session, (0,), accounts=False)
    household = made.households[0]
    first = record(session, made.clerk, household)
    second = record(session, made.clerk, household, make_account_number(9_999))
    assert (first.replaced_at is not None, second.replaced_at) == (True, None)
    assert account_of(session, household.id) is second
    assert number_of(KEY, first) == GOOD  # the old row keeps what it said


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"number": "4242424242424243"}, "account_check"),
        ({"holder_name": "刘干部"}, "holder_elsewhere"),
        ({"holder_name": " "}, "account_words_missing"),
        ({"bank_name": "=SUM(A1)"}, "account_words"),
        ({"bank_name": "+银行"}, "account_words"),
        ({"bank_name": "行" * 41}, "account_words"),
        ({"valid_from": None}, "account_in_future"),
    ],
)
def test_a_wrong_account_is_refused_and_nothing_changes(
    session: Session, wrong: dict[str, object], code: str
) -> None:
    made = world(session, (0,))
    before, household = account_of(session, made.households[0].id), made.households[0]
    if "valid_from" in wrong:
        wrong = {"valid_from": today() + timedelta(days=1)}
    with pytest.raises(Refused) as refusal:
        record(session, made.clerk, household, **wrong)  # type: ignore[arg-type]
    assert refusal.value.code == code
    assert (count(session), account_of(session, household.id)) == (1, before)


def test_a_member_of_the_household_may_hold_the_account(session: Session) -> None:
    made = world(session, (0,), accounts=False)
    member = HouseholdMemberFactory(household=made.households[0], name="陈小芳", relation="配偶")
    assert record(session, made.clerk, made.households[0], holder_name=member.name).holder_name == "陈小芳"


def test_an_account_is_one_household_s(session: Session) -> None:
    made = world(session, (0, 0), accounts=False)
    record(session, made.clerk, made.households[0])
    with pytest.raises(Refused) as refusal:
        record(session, made.clerk, made.households[1])
    assert refusal.value.code == "account_of_another"
    stolen = HouseholdBankAccount(
        household_id=made.households[1].id,
        number_sealed=b"x",
        number_index=account_of(session, made.households[0].id).number_index,  # type: ignore[union-attr]
        last_four="0000",
        holder_name="x",
        bank_name="x",
        valid_from=today(),
    )
    session.add(stolen)
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


def test_the_same_account_again_is_a_conflict(session: Session) -> None:
    made = world(session, (0,), accounts=False)
    record(session, made.clerk, made.households[0])
    with pytest.raises(Conflict):
        record(session, made.clerk, made.households[0])
    assert count(session) == 1


def test_each_records_in_their_own_care_alone(session: Session) -> None:
    made = world(session, (0,), accounts=False)
    household = made.households[0]
    village = actor_of(official_with(Role.VILLAGE_REVIEWER))
    next_village = actor_of(official_with(Role.VILLAGE_REVIEWER, NEXT_VILLAGE))
    county = actor_of(official_with(Role.COUNTY_REVIEWER))
    strangers = (
        actor_at(CooperativeFactory()),
        next_village,
        actor_with(Role.AUDITOR),
        actor_with(Role.TOWNSHIP_REVIEWER),
        actor_with(Role.HOUSEHOLD),
    )
    for stranger in strangers:
        with pytest.raises(NotFound):
            record(session, stranger, household)
    assert count(session) == 0
    for number, actor in enumerate((made.clerk, village, county)):
        record(session, actor, household, make_account_number(number))
    elsewhere = HouseholdFactory(place=RegionFactory(code=NEXT_VILLAGE))
    assert elsewhere in session.scalars(households_to_record(next_village)).all()


# --- looking ---


def test_looking_at_a_number_needs_a_reason_and_is_kept(session: Session) -> None:
    made = world(session, (0,), accounts=False)
    account = record(session, made.clerk, made.households[0])
    auditor = actor_with(Role.AUDITOR)
    for reason in ("", "看", "核对 36102519700101001X"):
        with pytest.raises(Refused):
            reveal_account(session, auditor, KEY, account, reason=reason)
    with pytest.raises(Forbidden):
        reveal_account(session, made.manager, KEY, account, reason="核对银行退票原因")
    assert reveal_account(session, auditor, KEY, account, reason="核对银行退票原因") == GOOD
    rows = session.scalars(select(TrailEntry).where(TrailEntry.action == "payments.reveal_account")).all()
    assert [(row.actor_user_id, row.detail) for row in rows] == [
        (auditor.user_id, {"reason": "核对银行退票原因"})
    ]


# --- sheets ---


def bring(made: PayoutWorld, files: FileStore, *rows: str) -> AccountSheet:
    content = "\n".join((HEADER, *rows)).encode("gb18030")
    return upload_accounts(made.session, made.clerk, files, content=content, file_name="账号.csv")


def line(household: Household, number: str, **other: str) -> str:
    cells = {
        "no": household.registry_no,
        "head": household.head_name,
        "holder": household.head_name,
        "bank": "江西农商银行",
    } | other
    return ",".join([*cells.values(), number])


def found_in(made: PayoutWorld, files: FileStore, sheet: AccountSheet) -> list[tuple[int, str, str]]:
    examined = examine_accounts(made.session, made.clerk, KEY, files, sheet)
    return [(one.row, one.column, one.code) for one in examined.findings]


def test_a_sheet_names_each_fault_by_row_and_column_and_takes_the_good_rows(
    session: Session, files: FileStore
) -> None:
    made = world(session, (0,) * 8, accounts=False)
    one, two, three, four, five, six, seven, eight = made.households
    record(session, made.clerk, eight, make_account_number(8))
    stranger = HouseholdFactory()
    sheet = bring(
        made,
        files,
        line(one, make_account_number(1)),
        line(two, "4242424242424243"),
        line(three, make_account_number(3), holder="刘干部"),
        line(four, make_account_number(4), head="别人"),
        line(stranger, make_account_number(5)),
        line(five, "6.217E+18"),
        line(six, make_account_number(8)),
        line(seven, make_account_number(7), bank="=1+1", holder=""),
        line(eight, make_account_number(8)),
    )
    assert found_in(made, files, sheet) == [
        (3, "银行账号", "account_check"),
        (4, "开户人", "holder_elsewhere"),
        (5, "户主姓名", "head_differs"),
        (6, "户编号", "household_not_in_care"),
        (7, "银行账号", "digits_lost"),
        (8, "银行账号", "account_of_another"),
        (9, "开户人", "account_words_missing"),
        (9, "开户银行", "formula_cell"),
        (10, "银行账号", "account_repeated"),
    ]
    assert count(session) == 1
    take_accounts(session, made.clerk, KEY, files, sheet)
    assert (sheet.state, sheet.rows_new, sheet.rows_bad) == (SheetState.TAKEN, 1, 8)
    account = account_of(session, one.id)
    assert account is not None
    assert number_of(KEY, account) == make_account_number(1)
    assert count(session) == 2


def test_the_same_sheet_twice_changes_nothing(session: Session, files: FileStore) -> None:
    made = world(session, (0, 0), accounts=False)
    rows = [line(one, make_account_number(place)) for place, one in enumerate(made.households)]
    sheet = take_accounts(session, made.clerk, KEY, files, bring(made, files, *rows))
    assert bring(made, files, *rows) is sheet
    assert take_accounts(session, made.clerk, KEY, files, sheet) is sheet
    assert count(session) == 2
    again = bring(made, files, *reversed(rows))
    assert examine_accounts(session, made.clerk, KEY, files, again).unchanged == 2
    with pytest.raises(Refused):
        take_accounts(session, made.clerk, KEY, files, again)
    assert count(session) == 2


def test_a_household_twice_in_a_sheet_is_for_a_person(session: Session, files: FileStore) -> None:
    made = world(session, (0,), accounts=False)
    (household,) = made.households
    sheet = bring(
        made, files, line(household, make_account_number(1)), line(household, make_account_number(2))
    )
    assert {code for _row, _column, code in found_in(made, files, sheet)} == {"household_repeated"}
    with pytest.raises(Refused):
        take_accounts(session, made.clerk, KEY, files, sheet)
    assert count(session) == 0


def test_digits_a_spreadsheet_lost_are_not_guessed(session: Session, files: FileStore) -> None:
    made = world(session, (0,), accounts=False)
    (household,) = made.households
    book = openpyxl.Workbook()
    page = book.active
    page.append(HEADER.split(","))
    page.append(
        [household.registry_no, household.head_name, household.head_name, "农商行", 6_217_000_000_000_000_000]
    )
    stream = BytesIO()
    book.save(stream)
    sheet = upload_accounts(session, made.clerk, files, content=stream.getvalue(), file_name="账号.xlsx")
    assert found_in(made, files, sheet) == [(2, "银行账号", "digits_lost")]


def test_who_records_nothing_brings_no_sheet(session: Session, files: FileStore) -> None:
    world(session, (0,))
    with pytest.raises(Forbidden):
        upload_accounts(session, actor_with(Role.AUDITOR), files, content=HEADER.encode(), file_name="x.csv")


def test_the_empty_sheet_has_the_columns_that_are_read() -> None:
    with pytest.raises(Refused) as refusal:
        read_sheet(template(), COLUMNS)
    assert refusal.value.code == "sheet_empty"
