"""A roster through the pages: upload, findings, marked-up sheet, taking, and the households' word."""

from io import BytesIO

import pytest
from openpyxl import load_workbook
from sqlalchemy import func, select

from marketplace.identity.downloads.models import PreparedFile
from marketplace.identity.downloads.rules import PREPARE_FILES
from marketplace.identity.models import Role
from marketplace.registry.jobs import CHECK_ROSTERS, TAKE_ROSTERS
from marketplace.registry.models import Enrolment, EnrolmentState, Household, ImportState, RosterImport
from marketplace.registry.roster import views as roster_views
from marketplace.registry.roster.sheets import SheetReader
from marketplace.web.jobs import EXTENSION
from tests.factories.identity import UserFactory, official_with
from tests.factories.registry import (
    NEXT_VILLAGE,
    VILLAGE,
    CooperativeFactory,
    RegionFactory,
    beneficiary_policy,
    user_of,
)
from tests.factories.rosters import HEADERS, csv_of, household, households, id_of, person, xlsx_of


@pytest.fixture
def office(session, client, clock):
    """The clerk of a cooperative, signed in."""
    for code in (VILLAGE, NEXT_VILLAGE):
        RegionFactory(code=code)
    beneficiary_policy()
    clerk = user_of(CooperativeFactory(), Role.COOPERATIVE_CLERK)
    client.sign_in(clerk)
    return client


def upload(client, content, name="名册.csv"):
    return client.post("/rosters", data={"file": (BytesIO(content), name)})


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


def test_a_roster_becomes_households_that_say_yes(session, app, office):
    answer = upload(office, xlsx_of([*household(1), person(2, 身份证号="1")]), "名册.xlsx")
    page = office.get(answer.location)
    assert "没有问题的 2 行可以入库" in page.text
    assert "第 4 行" in page.text
    assert "身份证号应为 18 位，现在是 1 位，请核对" in page.text
    assert count(session, Household) == 0
    page = office.post(f"{answer.location}/take", follow_redirects=True)
    assert "已入库" in page.text
    assert session.scalars(select(Enrolment.state)).all() == [EnrolmentState.PROPOSED]
    page = office.get("/enrolments?state=proposed")
    assert "陈户主1" in page.text

    home = session.scalars(select(Household)).one()
    assert office.get(f"/households/{home.public_no}").status_code == 200
    farmer = UserFactory(granted=(Role.HOUSEHOLD,), display_name=home.head_name)
    home.user_id = farmer.id
    office.sign_in(farmer)
    enrolment_no = session.scalars(select(Enrolment.public_no)).one()
    assert "我家加入" in office.get("/my/enrolments").text
    page = office.post(f"/enrolments/{enrolment_no}/acknowledge", follow_redirects=True)
    assert "已确认加入" in page.text
    assert session.scalars(select(Enrolment.state)).all() == [EnrolmentState.ACKNOWLEDGED]


def test_the_same_file_again_leads_to_the_same_page(session, office):
    content = csv_of(households(2))
    first = upload(office, content)
    office.post(f"{first.location}/take")
    again = upload(office, content, "改了名字.csv")
    assert again.location == first.location
    page = office.get(again.location)
    assert "这份文件已经上传过" in page.text
    assert count(session, RosterImport) == 1
    office.post(f"{first.location}/take")
    assert count(session, Household) == 2
    other_form = upload(office, xlsx_of(households(2)), "名册.xlsx")  # the same people in another file
    assert "0 新增" in office.get(other_form.location).text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "上传的文件是空的"),
        (b"\xd0\xcf\x11\xe0" + bytes(60), "旧版 .xls"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "不是 CSV 或 XLSX 表格"),
    ],
)
def test_what_is_no_roster_is_refused_beside_the_field(session, office, content, message):
    answer = upload(office, content)
    assert answer.status_code == 422
    assert message in answer.text
    assert count(session, RosterImport) == 0


def test_forgetting_the_file_is_told_beside_the_field(office):
    answer = office.post("/rosters", data={})
    assert answer.status_code == 422
    assert "请选择名册文件" in answer.text


def test_a_roster_that_cannot_be_read_tells_why_and_can_be_checked_again(office):
    headers = [header for header in HEADERS if header != "身份证号"]
    answer = upload(office, csv_of([person(1)], headers=headers))
    page = office.get(answer.location)
    assert "没法检查" in page.text
    assert "缺少这一列" in page.text
    assert "下载标注好的名册" not in page.text
    assert office.get(f"{answer.location}/marked.xlsx").status_code == 404
    assert office.post(f"{answer.location}/take").status_code == 409
    assert "没法检查" in office.post(f"{answer.location}/recheck", follow_redirects=True).text


def test_findings_are_told_in_the_readers_language_and_by_column(office):
    answer = upload(office, csv_of([person(1, 身份证号="1"), person(2, 村="没有这个村")]))
    page = office.get(f"{answer.location}?column=村")
    assert "本县没有找到这个村" in page.text
    assert "身份证号应为 18 位" not in page.text
    assert office.get(f"{answer.location}?column=x&page=1").status_code == 200
    office.post("/language", data={"locale": "en"})
    assert office.get(answer.location).status_code == 200


def test_the_marked_up_sheet_says_beside_each_row_what_to_mend(office):
    wrong = "=HYPERLINK(1)"
    answer = upload(
        office, csv_of([person(1), person(2, 身份证号="1", 姓名="=1+1"), person(3, 认定日期=wrong)])
    )
    assert "下载标注好的名册" in office.get(answer.location).text
    sheet = office.get(f"{answer.location}/marked.xlsx")
    assert sheet.mimetype.endswith("spreadsheetml.sheet")
    rows = list(load_workbook(BytesIO(sheet.data)).active.iter_rows(values_only=True))
    assert rows[0] == (*HEADERS, "问题与修改办法")
    assert rows[1][6] == id_of(1)
    assert rows[1][10] is None
    assert (
        rows[2][10]
        == "这一格是公式，请复制后“选择性粘贴 → 数值”再上传；身份证号应为 18 位，现在是 1 位，请核对"
    )
    assert rows[3][10] == "这一格是公式，请复制后“选择性粘贴 → 数值”再上传"
    sheet.close()


def test_the_template_is_read_back_as_an_empty_roster(office):
    template = office.get("/rosters/template.xlsx")
    reader = SheetReader(template.data)
    assert reader.header.is_usable
    assert [cell for cell in reader.titles if cell] == list(HEADERS)
    answer = upload(office, template.data, "模板.xlsx")
    assert "名册里没有一行农户" in office.get(answer.location).text


def test_a_long_roster_is_checked_and_taken_by_the_worker_with_progress(session, app, office):
    answer = upload(office, csv_of(households(1100)))
    roster = session.scalars(select(RosterImport)).one()
    assert roster.state is ImportState.CHECKING
    assert (roster.rows_read, roster.rows_total) == (2000, 2201)
    page = office.get(answer.location)
    assert 'http-equiv="refresh"' in page.text
    assert "hx-get" in page.text
    bar = office.get(f"{answer.location}/progress")
    assert "2,000 / 2,201" in bar.text
    assert "HX-Refresh" not in bar.headers
    jobs = app.extensions[EXTENSION]
    session.commit()
    jobs.run(CHECK_ROSTERS)
    assert office.get(f"{answer.location}/progress").headers["HX-Refresh"] == "true"
    assert "入库 1100 户 2200 人" in office.get(answer.location).text
    page = office.post(f"{answer.location}/take", follow_redirects=True)
    assert "正在入库" in page.text
    assert count(session, Household) == 0
    session.commit()
    jobs.run(TAKE_ROSTERS)
    assert count(session, Household) == 1100
    session.commit()
    assert jobs.run(TAKE_ROSTERS) == 1  # nothing is left to do


def test_a_long_check_and_a_taking_that_waits_can_be_stopped_on_the_page(session, app, office):
    answer = upload(office, csv_of(households(1100)))
    assert f'action="{answer.location}/stop"' in office.get(answer.location).text
    page = office.post(f"{answer.location}/stop", follow_redirects=True)
    assert "已停下，文件还在" in page.text
    assert "重新检查" in page.text
    assert office.get(f"{answer.location}/progress").headers["HX-Refresh"] == "true"
    office.post(f"{answer.location}/recheck")
    session.commit()
    app.extensions[EXTENSION].run(CHECK_ROSTERS)
    office.post(f"{answer.location}/take")
    page = office.post(f"{answer.location}/stop", follow_redirects=True)
    assert "已撤回，还没有入库" in page.text
    assert session.scalars(select(RosterImport)).one().state is ImportState.CHECKED
    assert office.post(f"{answer.location}/stop").status_code == 409
    assert count(session, Household) == 0


def test_a_long_roster_is_marked_by_the_worker(session, office, work, monkeypatch):
    location = upload(office, xlsx_of([*household(1), person(2, 身份证号="1")]), "名册.xlsx").location
    assert office.get(f"{location}/marked.xlsx").status_code == 200  # short: at once
    monkeypatch.setattr(roster_views, "LINES_A_STEP", 2)
    page = office.get(f"{location}/marked.xlsx", follow_redirects=True)
    assert "这份名册较长" in page.text
    assert f'action="{location}/marked"' in page.text
    assert count(session, PreparedFile) == 0
    address = office.post(f"{location}/marked").location
    assert office.post(f"{location}/marked").location == address
    work(PREPARE_FILES)
    file = session.scalars(select(PreparedFile)).one()
    assert (file.title, file.total_count, file.done_count) == ("名册（已标注）", 3, 3)
    sheet = load_workbook(BytesIO(office.get(f"{address}/file").data)).active
    assert "身份证号应为 18 位，现在是 1 位，请核对" in sheet.cell(4, len(HEADERS) + 1).value
    office.sign_in(user_of(CooperativeFactory()))
    assert office.post(f"{location}/marked").status_code == 404
    assert office.get(f"{address}/file").status_code == 404


@pytest.mark.parametrize("path", ["", "/progress", "/marked.xlsx"])
def test_another_cooperatives_roster_and_a_forged_number_are_not_found(session, office, path):
    location = upload(office, csv_of([person(1), person(2, 身份证号="1")])).location
    assert office.get("/rosters/R-FORGED0000" + path).status_code == 404
    office.sign_in(user_of(CooperativeFactory()))
    assert office.get(location + path).status_code == 404
    for act in ("/take", "/recheck", "/stop"):
        assert office.post(location + act).status_code == 404
    assert count(session, Household) == 0


@pytest.mark.parametrize("role", [Role.COUNTY_REVIEWER, Role.AUDITOR, Role.OPERATOR])
def test_others_have_no_rosters(office, role):
    office.sign_in(official_with(role))
    assert office.get("/rosters").status_code == 403
    assert upload(office, csv_of(households(1))).status_code == 403
