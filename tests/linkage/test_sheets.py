"""Weigh slips by the sheet: good rows are taken at once, every other says what to mend, and twice changes nothing."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import BytesIO, StringIO

import pytest
import xlsxwriter
from openpyxl import load_workbook
from sqlalchemy import func, select

from marketplace.core.errors import NotFound, Refused
from marketplace.identity.models import Role, StoredFile, TrailEntry
from marketplace.linkage import sheet_rules, sheets
from marketplace.linkage.mechanisms.contract_farming.models import WeighSlip
from marketplace.linkage.mechanisms.contract_farming.sheet import WEIGH_SLIPS
from marketplace.linkage.models import Agreement, Entitlement, Evidence, PeriodState
from marketplace.linkage.sheet_format import as_typed, read_kg, read_yuan
from marketplace.linkage.sheet_models import EvidenceSheet
from marketplace.linkage.sheet_work import SheetState
from tests.factories.linkage import CONTRACT_TERMS, ContractFactory, LotFactory, PeriodFactory, weigh
from tests.factories.registry import EnrolmentFactory, actor_at, beneficiary_policy, user_of

pytestmark = pytest.mark.usefixtures("clock")
HEADERS = (
    "户主姓名",
    "过磅单号",
    "日期",
    "等级",
    "净重（千克）",
    "市价（元/千克）",
    "农户签字",
    "合作社签字",
)
NAMES = ("陈大山", "李秋菊", "王小满")


@pytest.fixture(autouse=True)
def policy(session):
    beneficiary_policy()


@pytest.fixture
def agreements(session) -> list[Agreement]:
    first = EnrolmentFactory(household__head_name=NAMES[0])
    others = [
        EnrolmentFactory(cooperative=first.cooperative, household__head_name=name) for name in NAMES[1:]
    ]
    return [ContractFactory(enrolment=one) for one in (first, *others)]


@pytest.fixture
def lot(session, agreements):
    return LotFactory(cooperative=agreements[0].cooperative)


def row(name: str = NAMES[0], slip_no: str = "1", net_kg: str = "12.5", **fields: str) -> list[str]:
    """A slip of 20 May at the floor price."""
    values = dict(
        zip(HEADERS, (name, slip_no, "2026-05-20", "统货", net_kg, "", name or "某", "罗春生"), strict=True)
    )
    return list((values | fields).values())


def csv_of(*rows: Sequence[str], headers: Sequence[str] = HEADERS, encoding: str = "utf-8") -> bytes:
    text = StringIO()
    csv.writer(text).writerows([headers, *rows])
    return text.getvalue().encode(encoding)


def upload(session, files, lot, content, *, actor=None, name="过磅.csv") -> EvidenceSheet:
    return sheet_rules.upload_sheet(
        session,
        actor or actor_at(lot.cooperative),
        files,
        sheet_format=WEIGH_SLIPS,
        lot=lot,
        content=content,
        file_name=name,
    )


def take(session, files, lot, sheet):
    return sheet_rules.take_sheet(session, actor_at(lot.cooperative), files, sheet)


def told(sheet: EvidenceSheet) -> list[tuple[int, str, str]]:
    return [(one["row"], one["column"], one["message"] % one["params"]) for one in sheet.findings]


def recorded(session) -> tuple[int | None, ...]:
    return tuple(
        session.scalar(select(func.count()).select_from(table))
        for table in (Evidence, WeighSlip, Entitlement)
    )


def test_a_sheet_is_checked_without_a_trace_and_then_taken_whole(session, files, lot):
    sheet = upload(session, files, lot, csv_of(*(row(name, str(n)) for n, name in enumerate(NAMES))))
    assert (sheet.rows_good, sheet.rows_bad, sheet.households, sheet.amount_fen) == (3, 0, 3, 31_875)
    assert recorded(session) == (0, 0, 0)
    assert lot.received_g == 0
    assert session.scalars(select(TrailEntry.action)).all() == ["linkage.upload_sheet"]
    take(session, files, lot, sheet)
    session.expire_all()
    assert (sheet.state, sheet.rows_good, sheet.amount_fen) == (SheetState.TAKEN, 3, 31_875)
    assert recorded(session) == (3, 3, 3)
    assert lot.received_g == 37_500
    assert session.scalars(select(Entitlement.amount_fen)).all() == [10_625] * 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
def test_the_encodings_of_offices_are_read(session, files, lot, encoding):
    assert upload(session, files, lot, csv_of(row(), encoding=encoding)).rows_good == 1


def test_a_workbook_is_read_with_its_numbers_and_days(session, files, lot):
    stream = BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        page, day = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd"})
        page.write(0, 0, "五月二十日过磅")
        page.write_row(1, 0, HEADERS)
        page.write_row(2, 0, [NAMES[0], "GB-1", "", "特级", 8.1, 9.6, NAMES[0], "罗春生"])
        page.write_number(2, 2, 46_162, day)  # 20 May 2026
    sheet = upload(session, files, lot, stream.getvalue(), name="过磅.xlsx")
    assert told(sheet) == []
    take(session, files, lot, sheet)
    slip = session.scalars(select(WeighSlip)).one()
    assert (slip.net_g, slip.market_price_fen_per_kg, slip.grade) == (8100, 960, "特级")
    assert slip.evidence.occurred_on.isoformat() == "2026-05-20"


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("8.0999999999999996", "8.1"),
        ("0.10000000000000001", "0.1"),
        ("0.99999999999999989", "1"),
        ("1234.0000000000002", "1234"),
        ("12.123456789", "12.123456789"),
        ("126.5", "126.5"),
        ("12", "12"),
    ],
)
def test_numbers_are_read_as_they_were_typed(written, typed):
    assert as_typed(written) == typed
    assert read_kg("8.0999999999999996") == 8100
    assert read_yuan("9.5999999999999996") == 960


def test_only_good_rows_are_taken_and_the_others_say_what_to_mend(session, files, lot):
    rows = [
        row(),
        row(NAMES[1], "2", "许多"),
        row("无此人", "3"),
        row(NAMES[2], "4", 日期="2026-06-02"),
        row(NAMES[2], "5", "0"),
        row(NAMES[2], "", "5"),
        row(NAMES[2], "7", 合作社签字=NAMES[2]),
        row("", "8"),
    ]
    sheet = upload(session, files, lot, csv_of(*rows))
    assert (sheet.rows_good, sheet.rows_bad) == (1, 7)
    assert told(sheet) == [
        (3, "净重（千克）", "请填写千克数，最多三位小数，例如 126.5"),
        (4, "户主姓名", "没有找到这个姓名的农户，或它还没有这样的协议，请核对姓名"),
        (5, "日期", "日期不能晚于今天"),
        (6, "净重（千克）", "净重须大于零"),
        (7, "过磅单号", "这一格没有填，请补上"),
        (8, "合作社签字", "双方签字不能是同一个人"),
        (9, "农户编号", "请填农户编号、户主姓名或协议编号，至少填一样"),
    ]
    take(session, files, lot, sheet)
    assert (sheet.rows_good, sheet.rows_bad, recorded(session)) == (1, 7, (1, 1, 1))
    assert lot.received_g == 12_500


def test_a_slip_number_twice_in_the_sheet_counts_once(session, files, lot):
    sheet = upload(session, files, lot, csv_of(row(slip_no="gb-1"), row(NAMES[1], "GB-1", "99")))
    assert told(sheet) == [(3, "过磅单号", "和第 2 行重复，同一笔只能登记一次，请删去一行")]
    take(session, files, lot, sheet)
    assert lot.received_g == 12_500


def test_a_slip_recorded_before_is_left_alone(session, files, lot, agreements):
    weigh(session, agreements[0], lot, slip_no="1", net_g=1000)
    sheet = upload(session, files, lot, csv_of(row(), row(NAMES[1], "2")))
    assert told(sheet) == [(2, "过磅单号", f"过磅单 1 已在 2026-05-20 记入批次 {lot.lot_no}，没有重复记录")]
    take(session, files, lot, sheet)
    assert lot.received_g == 13_500


def test_the_same_file_twice_is_the_same_sheet(session, files, lot):
    content = csv_of(row(), row(NAMES[1], "2"))
    sheet = upload(session, files, lot, content)
    take(session, files, lot, sheet)
    before = recorded(session)
    assert upload(session, files, lot, content) is sheet
    take(session, files, lot, sheet)
    assert recorded(session) == before == (2, 2, 2)


def test_the_same_rows_in_another_file_change_nothing(session, files, lot):
    take(session, files, lot, upload(session, files, lot, csv_of(row(), row(NAMES[1], "2"))))
    before = recorded(session)
    other = upload(session, files, lot, csv_of(row(NAMES[1], "2"), row()))
    assert (other.rows_good, other.rows_bad) == (0, 2)
    with pytest.raises(Refused) as refusal:
        take(session, files, lot, other)
    assert refusal.value.code == "no_good_rows"
    assert recorded(session) == before


def test_a_mended_register_lets_further_rows_in(session, files, lot, agreements):
    sheet = upload(session, files, lot, csv_of(row(), row("何有田", "2")))
    take(session, files, lot, sheet)
    cooperative = agreements[0].cooperative
    ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative, household__head_name="何有田"))
    again = sheet_rules.check_again(session, actor_at(cooperative), files, sheet)
    assert (again.state, again.rows_good, again.rows_bad) == (SheetState.CHECKED, 1, 1)
    take(session, files, lot, sheet)
    assert recorded(session) == (2, 2, 2)


def test_namesakes_are_told_apart_by_number(session, files, lot, agreements):
    cooperative = agreements[0].cooperative
    namesake = ContractFactory(
        enrolment=EnrolmentFactory(cooperative=cooperative, household__head_name=NAMES[0])
    )
    headers = ("农户编号", *HEADERS)
    number = namesake.household.registry_no
    sheet = upload(
        session,
        files,
        lot,
        csv_of(["", *row()], [number, *row(slip_no="2")], [number, *row(NAMES[1], "3")], headers=headers),
    )
    assert told(sheet) == [
        (2, "农户编号", "有几户同名，请填农户编号"),
        (4, "户主姓名", "编号和姓名不是同一户，请核对"),
    ]
    take(session, files, lot, sheet)
    assert session.scalars(select(Entitlement.household_id)).all() == [namesake.household_id]


def test_an_agreement_is_named_by_its_number(session, files, lot, agreements):
    headers = ("协议编号", *HEADERS[1:])
    rows = [[agreements[1].public_no, *row()[1:]], ["A-0000000000", *row(slip_no="2")[1:]]]
    sheet = upload(session, files, lot, csv_of(*rows, headers=headers))
    assert told(sheet) == [(3, "协议编号", "没有这个编号的协议，请照协议页上的编号填写")]


def test_other_produce_a_day_before_the_agreement_and_a_closed_period_are_findings(
    session, files, lot, agreements
):
    cooperative = agreements[0].cooperative
    oranges = EnrolmentFactory(cooperative=cooperative, household__head_name="何有田")
    ContractFactory(enrolment=oranges, version__terms={**CONTRACT_TERMS, "commodity": "脐橙"})
    PeriodFactory(cooperative=cooperative, state=PeriodState.CLOSED)
    rows = [row("何有田", "1"), row(slip_no="2"), row(slip_no="3", 日期="2025-12-31")]
    sheet = upload(session, files, lot, csv_of(*rows))
    assert [(number, column) for number, column, _words in told(sheet)] == [
        (2, "日期"),
        (3, "日期"),
        (4, "日期"),
    ]
    assert recorded(session) == (0, 0, 0)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\xd0\xcf\x11\xe0 old", "old_excel"),
        (csv_of(headers=("甲", "乙", "丙")), "no_header"),
        (csv_of(headers=HEADERS[:5]), "no_column"),
        (csv_of(), "no_rows"),
        (csv_of(*(row(slip_no=str(n)) for n in range(sheets.MOST_ROWS + 1))), "too_many_rows"),
    ],
)
def test_what_is_no_such_sheet_is_refused(session, files, lot, content, code):
    with pytest.raises(Refused) as refusal:
        upload(session, files, lot, content)
    assert refusal.value.code == code
    session.rollback()
    assert session.scalar(select(func.count(EvidenceSheet.id))) == 0
    assert recorded(session) == (0, 0, 0)


def test_formulas_are_never_computed(session, files, lot):
    sheet = upload(session, files, lot, csv_of(row(net_kg="=1+1")))
    assert told(sheet) == [(2, "净重（千克）", "这一格是公式，请复制后“选择性粘贴 → 数值”再上传")]


def test_another_cooperatives_lot_or_sheet_is_not_found(session, files, lot):
    other = ContractFactory().cooperative
    with pytest.raises(NotFound):
        upload(session, files, lot, csv_of(row()), actor=actor_at(other))
    sheet = upload(session, files, lot, csv_of(row()))
    with pytest.raises(NotFound):
        sheet_rules.take_sheet(session, actor_at(other), files, sheet)
    assert recorded(session) == (0, 0, 0)


# --- pages ---


@pytest.fixture
def office(client, lot):
    client.sign_in(user_of(lot.cooperative, Role.COOPERATIVE_CLERK))
    return client


def test_a_sheet_goes_through_the_pages(session, office, lot):
    address = f"/linkage/sheets/new/weigh_slips?lot={lot.public_no}"
    assert f"批次 {lot.lot_no}" in office.get(address).text
    content = csv_of(row(), row("无此人", "2"))
    answer = office.post(address, data={"file": (BytesIO(content), "五月.csv")})
    page = office.get(answer.location)
    assert "没有问题的 1 行可以入账" in page.text
    assert "没有找到这个姓名的农户" in page.text
    marked = load_workbook(BytesIO(office.get(f"{answer.location}/marked.xlsx").data)).active
    assert "没有找到这个姓名的农户" in marked["I3"].value
    office.post(f"{answer.location}/take")
    assert "已入账的行" in office.get(answer.location).text
    session.expire_all()
    assert recorded(session) == (1, 1, 1)
    assert "五月.csv" in office.get(address).text


def test_a_wrong_file_is_told_beside_the_field(session, office, lot):
    answer = office.post(
        f"/linkage/sheets/new/weigh_slips?lot={lot.public_no}", data={"file": (BytesIO(b"a,b"), "x.csv")}
    )
    assert answer.status_code == 422
    assert "没有找到表头" in answer.text
    assert session.scalar(select(func.count(StoredFile.id))) == 0


def test_the_template_can_be_filled_and_uploaded(office, session, files, lot):
    book = load_workbook(BytesIO(office.get("/linkage/sheets/template/weigh_slips.xlsx").data))
    titles = [cell.value for cell in book.worksheets[0][1]]
    assert titles[3:] == [
        "过磅单号",
        "日期",
        "等级",
        "净重（千克）",
        "市价（元/千克）",
        "农户签字",
        "合作社签字",
    ]
    book.worksheets[0].append(["", NAMES[0], "", "1", "2026-05-20", "", "12.5", "", NAMES[0], "罗春生"])
    stream = BytesIO()
    book.save(stream)
    assert upload(session, files, lot, stream.getvalue(), name="x.xlsx").rows_good == 1


def test_another_cooperatives_sheet_is_not_there(session, files, office, lot, client):
    sheet = upload(session, files, lot, csv_of(row()))
    session.commit()
    client.sign_in(user_of(ContractFactory().cooperative, Role.COOPERATIVE_CLERK))
    for address in (f"/linkage/sheets/{sheet.public_no}", f"/linkage/sheets/{sheet.public_no}/marked.xlsx"):
        assert client.get(address).status_code == 404
    assert client.post(f"/linkage/sheets/{sheet.public_no}/take").status_code == 404
    assert client.get("/linkage/sheets/new/nothing").status_code == 404
