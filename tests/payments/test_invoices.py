"""Invoices over what units accepted: each number once, the amount to the fen, checked by the payer."""

from __future__ import annotations

import zipfile
from datetime import date, timedelta
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from marketplace.audit.cli import CHECKS
from marketplace.core.errors import Conflict, DomainError, Forbidden, NotFound, Refused
from marketplace.core.files import FileStore
from marketplace.core.ids import random_key
from marketplace.identity.actors import Actor
from marketplace.identity.documents import MAX_DOCUMENT_BYTES, document_type
from marketplace.identity.models import Role, StoredFile
from marketplace.identity.rules import keep_file
from marketplace.ledger.checks import run_checks
from marketplace.ordering.models import OrderPart
from marketplace.ordering.states import PartEvent
from marketplace.payments.invoices.models import Invoice, InvoiceKind, InvoiceState
from marketplace.payments.invoices.numbers import invoice_number
from marketplace.payments.invoices.queries import (
    invoices_to_correct,
    over_fen_of,
    parts_to_invoice,
    tasks_of,
)
from marketplace.payments.invoices.rules import (
    confirm_invoice,
    return_invoice,
    upload_invoice,
    upload_red_letter,
)
from marketplace.payments.refunds.rules import agree_refund
from tests.conftest import HeldClock
from tests.factories.refunds import asked
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at
from tests.factories.trade import bill, buy, offer, sell, staff_buyer

NUMBER, OTHER = "26360000000012345678", "26360000000087654321"
TODAY = date(2026, 6, 1)


@pytest.fixture
def part(session: Session, clock: HeldClock) -> OrderPart:
    """150.00 yuan accepted by a canteen on the first of June."""
    return bill(session, offer(session, CooperativeFactory()), 3).part


@pytest.fixture
def paper(session: Session, files: FileStore, part: OrderPart) -> StoredFile:
    return keep_file(
        session,
        actor_at(part.cooperative),
        files,
        content=b"%PDF-1.7 invoice",
        name="发票.pdf",
        media_type="application/pdf",
        sealed=True,
    )


def payer_of(part: OrderPart) -> Actor:
    return actor_at(part.order.buyer_unit, Role.UNIT_PAYER)


def handed_in(
    session: Session, part: OrderPart, paper: StoredFile, actor: Actor | None = None, **said: Any
) -> Invoice:
    """An invoice over one part, right unless `said` otherwise."""
    right = {
        "part_nos": [part.public_no],
        "number": NUMBER,
        "issued_on": TODAY,
        "amount_fen": 15_000,
        "file": paper,
        "idempotency_key": random_key(),
    }
    return upload_invoice(session, actor or actor_at(part.cooperative), **{**right, **said})


def refund_of(session: Session, part: OrderPart, units: int) -> None:
    receiver = actor_at(part.order.buyer_unit, Role.UNIT_RECEIVER)
    refund = asked(session, receiver, part, units, key=random_key())
    agree_refund(session, actor_at(part.cooperative), refund)


def findings(session: Session) -> list[object]:
    return [finding for result in run_checks(session, CHECKS) for finding in result.findings]


# --- what is typed ---


@pytest.mark.parametrize(
    ("number", "code", "digits"),
    [
        (NUMBER, "", NUMBER),
        (" 2636 0000-0000 1234 5678 ", "", NUMBER),
        ("２６３６００００００００１２３４５６７８", "", NUMBER),
        ("12345678", "3600123456", "360012345612345678"),
        ("12345678", "036001234567", "03600123456712345678"),
    ],
)
def test_a_number_is_read_as_tellers_type_it(number: str, code: str, digits: str) -> None:
    assert invoice_number(number, code) == digits


@pytest.mark.parametrize(
    ("number", "code", "field"),
    [
        ("", "", "number"),
        ("2636000000001234567", "", "number"),
        (NUMBER + "1", "", "number"),
        ("2636000000001234567X", "", "number"),
        (NUMBER, "3600123456", "number"),
        ("12345678", "", "code"),
        ("12345678", "36001234567", "code"),
        ("12345678", "36OO123456", "code"),
        ("①②③④⑤⑥⑦⑧", "", "code"),
    ],
)
def test_a_malformed_number_is_refused_at_its_field(number: str, code: str, field: str) -> None:
    with pytest.raises(Refused) as refused:
        invoice_number(number, code)
    assert refused.value.field == field


def ofd(*names: str) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "<ofd:OFD/>")
    return out.getvalue()


def test_an_invoice_is_a_pdf_an_ofd_or_a_picture_by_its_bytes() -> None:
    kinds = [b"%PDF-1.4", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", ofd("OFD.xml", "Doc_0/Document.xml")]
    found = [document_type(content, with_ofd=True) for content in kinds]
    assert found == ["application/pdf", "image/jpeg", "image/png", "application/ofd"]
    wrong = [
        (content, True) for content in (b"MZ\x90", ofd("word/document.xml"), b"PK\x03\x04broken", b"<html>")
    ]
    wrong += [
        (ofd("OFD.xml"), False),
        (b"%PDF-" + bytes(MAX_DOCUMENT_BYTES), True),
    ]  # other papers are no OFD
    codes = []
    for content, with_ofd in wrong:
        with pytest.raises(Refused) as refused:
            document_type(content, with_ofd=with_ofd)
        codes.append(refused.value.code)
    assert codes == ["document_kind"] * 5 + ["document_too_large"]


# --- refused: nothing is kept ---


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ({"number": "123"}, "invoice_number", "number"),
        ({"amount_fen": 14_999}, "invoice_amount", "amount"),
        ({"amount_fen": 15_001}, "invoice_amount", "amount"),
        ({"issued_on": TODAY + timedelta(days=1)}, "invoice_future", "issued_on"),
        ({"issued_on": TODAY - timedelta(days=1)}, "invoice_early", "issued_on"),
        ({"file": None}, "no_file", "file"),
        ({"part_nos": []}, "no_parts", None),
        ({"part_nos": ["Q-0"] * 51}, "many_parts", None),
    ],
)
def test_an_invoice_that_cannot_be_is_refused(
    session: Session, part: OrderPart, paper: StoredFile, said: dict[str, Any], code: str, field: str | None
) -> None:
    with pytest.raises(Refused) as refused, session.begin_nested():
        handed_in(session, part, paper, **said)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert session.scalar(select(func.count()).select_from(Invoice)) == 0
    assert part.invoiced_at is None


def test_the_difference_is_said_to_the_fen(session: Session, part: OrderPart, paper: StoredFile) -> None:
    refund_of(session, part, 1)
    with pytest.raises(Refused) as refused, session.begin_nested():
        handed_in(session, part, paper, amount_fen=9_999)
    assert refused.value.params == {"expected": "100.00", "difference": "0.01"}
    assert "少了" in refused.value.message
    assert handed_in(session, part, paper, amount_fen=10_000).amount_fen == 10_000


def test_only_the_cooperative_invoices_its_own_accepted_parts_of_one_unit(
    session: Session, part: OrderPart, paper: StoredFile
) -> None:
    offered = offer(session, part.cooperative)
    other_unit = bill(session, offered, 1, key="another-canteen-s-order").part
    personal = sell(session, offered, 1).parts[0]
    unit = BuyerUnitFactory()
    waiting = buy(session, actor_at(unit), (offered, 1), kind=part.order.kind).parts[0]

    def refusal(actor: Actor, *parts: OrderPart) -> DomainError:
        with pytest.raises(DomainError) as refused, session.begin_nested():
            handed_in(session, part, paper, actor, part_nos=[one.public_no for one in parts])
        assert session.scalar(select(func.count()).select_from(Invoice)) == 0
        return refused.value

    own = actor_at(part.cooperative)
    assert isinstance(refusal(actor_at(CooperativeFactory()), part), NotFound)
    assert isinstance(refusal(payer_of(part), part), Forbidden)
    assert isinstance(refusal(staff_buyer(), part), Forbidden)
    assert isinstance(refusal(own, personal), NotFound)
    assert refusal(own, part, other_unit).code == "several_units"
    assert refusal(own, waiting).code == "not_accepted"


def test_an_invoice_used_twice_is_refused_whoever_uses_it(
    session: Session, part: OrderPart, paper: StoredFile
) -> None:
    handed_in(session, part, paper)
    elsewhere = bill(session, offer(session, CooperativeFactory()), 3, key="another-canteen-s-order").part
    with pytest.raises(Conflict) as refused, session.begin_nested():
        handed_in(session, elsewhere, paper, number=f"{NUMBER[:10]} {NUMBER[10:]}")
    assert (refused.value.code, refused.value.field) == ("invoice_used", "number")
    with pytest.raises(Conflict) as refused, session.begin_nested():
        handed_in(session, part, paper, number=OTHER)
    assert refused.value.code == "invoiced"
    assert session.scalar(select(func.count()).select_from(Invoice)) == 1
    assert elsewhere.invoiced_at is None


def test_the_database_takes_no_number_and_no_part_twice(
    session: Session, part: OrderPart, paper: StoredFile
) -> None:
    handed_in(session, part, paper)
    second = bill(session, offer(session, part.cooperative), 3, key="another-canteen-s-order").part
    handed_in(session, second, paper, number=OTHER)
    taken = text("UPDATE invoice_part SET part_id = :part WHERE part_id <> :part")
    with pytest.raises(IntegrityError, match=r"part_id|live"), session.begin_nested():
        session.execute(taken, {"part": part.id})
    with pytest.raises(IntegrityError, match="number"), session.begin_nested():
        session.execute(text("UPDATE invoice SET number = :number"), {"number": NUMBER})


# --- the way of an invoice ---


def test_the_payer_confirms_an_invoice_once(session: Session, part: OrderPart, paper: StoredFile) -> None:
    clerk, payer = actor_at(part.cooperative), payer_of(part)
    assert [task.count for task in tasks_of(session, clerk)] == [1]
    invoice = handed_in(session, part, paper, clerk)
    assert part.invoiced_at is not None
    assert (part.history[-1].event, part.history[-1].note) == (PartEvent.INVOICE, NUMBER)
    assert tasks_of(session, clerk) == []
    assert [task.count for task in tasks_of(session, payer)] == [1]

    for actor, kind in ((clerk, Forbidden), (actor_at(BuyerUnitFactory(), Role.UNIT_PAYER), NotFound)):
        with pytest.raises(kind), session.begin_nested():
            confirm_invoice(session, actor, invoice)
    confirm_invoice(session, payer, invoice)
    assert (invoice.state, invoice.checked_by) == (InvoiceState.CONFIRMED, payer.user_id)
    for again in (confirm_invoice, lambda *way: return_invoice(*way, reason="抬头不对")):
        with pytest.raises(Conflict), session.begin_nested():
            again(session, payer, invoice)
    assert invoice.state is InvoiceState.CONFIRMED
    assert findings(session) == []


def test_a_returned_invoice_is_replaced_even_under_its_own_number(
    session: Session, part: OrderPart, paper: StoredFile
) -> None:
    payer = payer_of(part)
    first = handed_in(session, part, paper)
    with pytest.raises(Refused), session.begin_nested():
        return_invoice(session, payer, first, reason="  ")
    assert first.state is InvoiceState.UPLOADED
    return_invoice(session, payer, first, reason="抬头少了一个字")
    assert (first.state, first.return_reason, part.invoiced_at) == (
        InvoiceState.RETURNED,
        "抬头少了一个字",
        None,
    )
    assert findings(session) == []
    second = handed_in(session, part, paper)
    assert (second.number, second.state) == (first.number, InvoiceState.UPLOADED)
    assert part.invoiced_at is not None
    assert findings(session) == []


def test_one_invoice_is_over_several_parts_of_a_unit(
    session: Session, part: OrderPart, paper: StoredFile
) -> None:
    unit, offered = part.order.buyer_unit, offer(session, part.cooperative)
    other = bill(session, offered, 1, unit=unit, key="the-second-order-of-it").part
    found = session.execute(parts_to_invoice(actor_at(part.cooperative))).unique().all()
    assert [(one.id, fen) for one, fen in found] == [(part.id, 15_000), (other.id, 5_000)]
    invoice = handed_in(session, part, paper, part_nos=[other.public_no, part.public_no], amount_fen=20_000)
    assert [(row.part_id, row.amount_fen) for row in invoice.parts] == [(part.id, 15_000), (other.id, 5_000)]
    assert session.execute(parts_to_invoice(actor_at(part.cooperative))).all() == []
    assert findings(session) == []


def test_the_same_submission_again_is_the_same_invoice(
    session: Session, part: OrderPart, paper: StoredFile
) -> None:
    clerk = actor_at(part.cooperative)
    twice = [handed_in(session, part, paper, clerk, idempotency_key="key-of-one-submission") for _ in "12"]
    assert twice[0] is twice[1]
    assert session.scalar(select(func.count()).select_from(Invoice)) == 1


# --- refunds afterwards ---


def test_a_refund_before_the_check_sends_the_invoice_back(
    session: Session, part: OrderPart, paper: StoredFile
) -> None:
    invoice = handed_in(session, part, paper)
    refund_of(session, part, 1)
    with pytest.raises(Conflict) as refused, session.begin_nested():
        confirm_invoice(session, payer_of(part), invoice)
    assert (refused.value.code, invoice.state) == ("invoice_too_high", InvoiceState.UPLOADED)


def test_a_refund_after_the_check_asks_for_a_red_letter(
    session: Session, part: OrderPart, paper: StoredFile
) -> None:
    clerk, payer = actor_at(part.cooperative), payer_of(part)
    invoice = handed_in(session, part, paper, clerk)
    confirm_invoice(session, payer, invoice)

    def letter(key: str = "key-of-the-red-letter", by: Actor = clerk, **said: Any) -> Invoice:
        right = {"number": OTHER, "issued_on": TODAY, "amount_fen": 5_000, "file": paper}
        return upload_red_letter(session, by, original=invoice, idempotency_key=key, **{**right, **said})

    with pytest.raises(Conflict), session.begin_nested():
        letter()
    refund_of(session, part, 1)
    assert session.scalars(invoices_to_correct(clerk)).all() == [invoice]
    assert [task.values for task in tasks_of(session, clerk)] == [{"state": "to_correct"}]
    for said, code in (
        ({"amount_fen": 5_001}, "invoice_amount"),
        ({"number": NUMBER}, "invoice_used"),
        ({"issued_on": TODAY - timedelta(days=1)}, "invoice_early"),
    ):
        with pytest.raises(DomainError) as refused, session.begin_nested():
            letter(**said)
        assert refused.value.code == code
    with pytest.raises(NotFound), session.begin_nested():
        letter(by=actor_at(CooperativeFactory()))
    assert over_fen_of(session, invoice) == 5_000

    red = letter()
    assert letter() is red
    assert (red.kind, red.original_id, red.state) == (
        InvoiceKind.RED_LETTER,
        invoice.id,
        InvoiceState.UPLOADED,
    )
    assert over_fen_of(session, invoice) == 0
    assert session.scalars(invoices_to_correct(clerk)).all() == []
    return_invoice(session, payer, red, reason="红字信息表编号不对")
    assert over_fen_of(session, invoice) == 5_000
    second = letter(key="key-of-the-second-letter")
    confirm_invoice(session, payer, second)
    assert (second.state, over_fen_of(session, invoice)) == (InvoiceState.CONFIRMED, 0)
    assert part.invoiced_at is not None
    assert findings(session) == []
