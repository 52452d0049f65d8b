"""What auditors export: every credit and its changes, exact, of their jurisdiction alone, portion by portion."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.audit.exports import sheets
from marketplace.audit.exports.sheets import EXPORTS
from marketplace.core import portions
from marketplace.core.money import parse_yuan
from marketplace.identity.downloads import kinds
from marketplace.identity.downloads.models import FileState, PreparedFile
from marketplace.identity.downloads.rules import PREPARE_FILES
from marketplace.identity.models import Role
from marketplace.payments.models import Credit
from marketplace.payments.refunds.models import CreditReversal
from marketplace.payments.settlement import settle_lines
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import actor_of, official_with
from tests.factories.linkage import ContractFactory, EntitlementFactory
from tests.factories.refunds import refunded
from tests.factories.registry import CooperativeFactory, EnrolmentFactory, user_of
from tests.factories.trade import Offer, offer, sell

Work = Callable[..., None]
SPAN = {"since": "2026-01-01", "until": "2026-12-31"}
DAYS = (date(2026, 1, 1), date(2026, 12, 31))


def plain(words: str) -> str:
    return words


@pytest.fixture
def settled(session: Session, clock: HeldClock) -> Offer:
    """Three sales of 1, 2 and 3 units of 50.00 yuan, a tenth of each shared 2:1 by two households."""
    cooperative = CooperativeFactory()
    offered = offer(session, cooperative)
    for amount_fen in (2_000, 1_000):
        contract = ContractFactory(enrolment=EnrolmentFactory(cooperative=cooperative))
        EntitlementFactory(agreement=contract, lot=offered.lot, amount_fen=amount_fen)
    for number in range(3):
        sell(session, offered, units=number + 1, key=f"an-order-to-export-{number}")
    settle_lines(session)
    session.flush()
    return offered


@pytest.fixture
def office(session: Session, client: MarketClient) -> MarketClient:
    client.sign_in(official_with(Role.AUDITOR))
    return client


def exported(
    session: Session, client: MarketClient, work: Work, name: str, **span: str
) -> list[dict[str, str]]:
    """The rows of an export, asked for on the page and made by the worker."""
    answer = client.post("/audit/exports", data={"export": name, **SPAN, **span})
    assert answer.status_code == 303, answer.text
    work(PREPARE_FILES)
    file = session.scalars(select(PreparedFile).order_by(PreparedFile.id.desc()).limit(1)).one()
    assert (file.state, file.done_count) == (FileState.READY, file.total_count)
    content = client.get(f"{answer.location}/file")
    assert content.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(content.data.decode("utf-8-sig"), newline="")))
    assert len(rows) == file.total_count
    return rows


# --- what is refused ---


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"since": "2026-06-02", "until": "2026-06-01"}, "开始日期不能晚于结束日期"),
        ({"since": "", "until": "2026-06-01"}, "请选择开始日期"),
        ({"since": "2026-06-01", "until": "heute"}, ""),
    ],
)
def test_days_that_cannot_be_are_refused(
    session: Session, office: MarketClient, given: dict[str, str], words: str
) -> None:
    answer = office.post("/audit/exports", data={"export": "credits", **given})
    assert answer.status_code == 422
    assert words in answer.text
    assert session.scalar(select(func.count()).select_from(PreparedFile)) == 0


def test_an_export_that_is_none_is_refused(session: Session, office: MarketClient) -> None:
    assert office.post("/audit/exports", data={"export": "passwords", **SPAN}).status_code == 422
    assert session.scalar(select(func.count()).select_from(PreparedFile)) == 0


@pytest.mark.parametrize("role", [Role.COUNTY_REVIEWER, Role.OPERATOR, Role.TOWNSHIP_REVIEWER])
def test_others_export_nothing(session: Session, client: MarketClient, role: Role) -> None:
    client.sign_in(official_with(role))
    assert client.get("/audit/exports").status_code == 403
    assert client.post("/audit/exports", data={"export": "credits", **SPAN}).status_code == 403
    assert session.scalar(select(func.count()).select_from(PreparedFile)) == 0


# --- what is in it ---


def test_every_credit_is_a_row_with_whose_from_what_and_by_which_entry(
    session: Session, settled: Offer, office: MarketClient, work: Work
) -> None:
    rows = exported(session, office, work, "credits")
    first = session.scalars(select(Credit).order_by(Credit.id)).first()
    assert first is not None
    assert rows[0] == {
        "类别": "入账",
        "编号": first.public_no,
        "日期": "2026-06-01",
        "农户编号": first.household.public_no,
        "户主": first.household.head_name,
        "村": first.household.village.name,
        "合作社": settled.cooperative.name,
        "联结方式": first.mechanism.label,
        "归属": first.pool.attribution.label,
        "订单号": rows[0]["订单号"],
        "订单行": first.line.public_no,
        "商品": "山茶油",
        "金额（元）": "3.33",
        "原因": "",
        "账本凭证号": rows[0]["账本凭证号"],
    }
    assert [row["金额（元）"] for row in rows] == ["3.33", "1.67", "6.67", "3.33", "10.00", "5.00"]


def test_what_was_taken_back_is_negative_and_the_sum_is_what_households_have(
    session: Session, settled: Offer, office: MarketClient, work: Work
) -> None:
    order = sell(session, settled, units=4, key="an-order-that-comes-back")
    settle_lines(session)
    refunded(session, order, 1)
    rows = exported(session, office, work, "credits")
    given = session.scalar(select(func.sum(Credit.amount_fen)))
    taken = session.scalar(select(func.sum(CreditReversal.amount_fen)))
    assert taken
    assert sum(parse_yuan(row["金额（元）"].lstrip("-")) for row in rows if row["类别"] == "扣回") == taken
    signed = [(-1 if row["金额（元）"][0] == "-" else 1, row["金额（元）"].lstrip("-")) for row in rows]
    assert sum(sign * parse_yuan(text) for sign, text in signed) == given - taken
    back = [row for row in rows if row["类别"] == "扣回"]
    numbers = set(session.scalars(select(Credit.public_no)))
    assert {row["编号"] for row in back} <= numbers
    assert all(row["原因"] for row in back)


def test_settled_lines_have_their_amounts(
    session: Session, settled: Offer, office: MarketClient, work: Work
) -> None:
    rows = exported(session, office, work, "settlements")
    picked = [(row["数量"], row["单价（元）"], row["净额（元）"], row["联结资金（元）"]) for row in rows]
    assert picked == [
        ("1", "50.00", "50.00", "5.00"),
        ("2", "50.00", "100.00", "10.00"),
        ("3", "50.00", "150.00", "15.00"),
    ]
    assert {row["结算日期"] for row in rows} == {"2026-06-01"}


def test_days_outside_are_left_out(
    session: Session, settled: Offer, office: MarketClient, work: Work
) -> None:
    assert exported(session, office, work, "credits", until="2026-05-31") == []
    assert len(exported(session, office, work, "credits", since="2026-06-01", until="2026-06-01")) == 6


def test_another_countys_auditor_sees_none_of_it(
    session: Session, settled: Offer, client: MarketClient, work: Work
) -> None:
    client.sign_in(official_with(Role.AUDITOR, "360724"))
    assert exported(session, client, work, "credits") == []
    assert exported(session, client, work, "settlements") == []


def test_a_supervisor_who_may_not_read_households_gets_masked_names(
    session: Session, settled: Offer, client: MarketClient, work: Work
) -> None:
    client.sign_in(official_with(Role.SUPERVISOR))
    rows = exported(session, client, work, "credits")
    assert len(rows) == 6
    assert all("*" in row["户主"] for row in rows)


def test_a_cooperative_exports_nothing(session: Session, settled: Offer, client: MarketClient) -> None:
    client.sign_in(user_of(settled.cooperative))
    assert client.post("/audit/exports", data={"export": "credits", **SPAN}).status_code == 403


# --- any length ---


@pytest.mark.parametrize("name", sorted(EXPORTS))
@pytest.mark.parametrize("size", [1, 2, 4])
def test_memory_does_not_grow_a_statement_brings_a_portion(
    session: Session,
    settled: Offer,
    statements: Listening,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    size: int,
) -> None:
    """Each statement asks for `size` rows at most, and the next is not sent before its rows are used up."""
    monkeypatch.setattr(portions, "PORTION_ROWS", size)
    actor = actor_of(official_with(Role.AUDITOR))
    session.flush()
    export = EXPORTS[name]
    total = export.count(session, actor, *DAYS)
    with statements() as sent:
        asked_before_row = [len(sent) for _row in export.rows(session, actor, *DAYS, plain)]
        assert all("LIMIT" in statement for statement in sent)
    assert len(asked_before_row) == total
    assert asked_before_row == [place // size + 1 for place in range(total)]


def test_a_long_export_says_how_far_it_is_and_can_be_cancelled(
    app: Flask,
    session: Session,
    settled: Offer,
    office: MarketClient,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kinds, "ROWS_A_STEP", 2)
    address = office.post("/audit/exports", data={"export": "credits", **SPAN}).location
    assert "0 / 6" in office.get(f"{address}/progress").text
    assert office.post("/audit/exports", data={"export": "credits", **SPAN}).location == address
    real = sheets.movement_rows

    def rows(*given: Any) -> Any:
        for number, row in enumerate(real(*given)):
            if number == 3:
                other = app.test_client()
                other.sign_in(user)  # type: ignore[attr-defined]
                seen.append(other.get(f"{address}/progress").text)
                other.post(f"{address}/cancel")
            yield row

    seen: list[str] = []
    user = session.scalars(select(PreparedFile)).one().asker
    session.commit()
    export = EXPORTS["credits"]
    kind = sheets._kind_of(sheets.Export(export.label, export.count, export.columns, rows))
    app.extensions["file_kinds"] = {"audit_credits": kind}
    work(PREPARE_FILES)
    assert "2 / 6" in seen[0]
    file = session.scalars(select(PreparedFile)).one()
    assert (file.state, app.extensions["prepared_files"].names()) == (FileState.CANCELLED, [])
