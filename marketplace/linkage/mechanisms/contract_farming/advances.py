"""Recording advances: what a cooperative gives a household ahead of its harvest, against a receipt."""

from __future__ import annotations

import re
from datetime import date

from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.trail import record_trail
from marketplace.linkage.evidence import evidence_under, keep_evidence, require_own, version_for
from marketplace.linkage.mechanisms.contract_farming.models import MOST_ADVANCE_FEN, Advance
from marketplace.linkage.mechanisms.contract_farming.queries import lock_agreements
from marketplace.linkage.models import Agreement, Mechanism
from marketplace.registry.models import Cooperative

RECEIPT_NO = re.compile(r"[0-9A-Z][0-9A-Z-]{0,39}")


def advance_key(uscc: str, receipt_no: str) -> str:
    """The global key of an advance: the cooperative's credit code and the number printed on the receipt."""
    return f"advance:{uscc}:{receipt_no}"


def record_advance(
    session: Session,
    actor: Actor,
    *,
    agreement: Agreement,
    receipt_no: str,
    amount_fen: int,
    given_on: date,
    file: StoredFile | None = None,
) -> Advance:
    """Record what was given to the household of a contract ahead of its harvest, in fen.

    Slips of that day and later repay it, each by at most the share the contract names (none while it names none).
    Raises Refused (field named) for an amount or a day that cannot be; Conflict when the receipt was used before;
    NotFound for somebody else's agreement. Then nothing has changed.
    """
    require_own(actor, agreement)
    receipt_no = receipt_no.strip().upper()
    _check_form(receipt_no, amount_fen)
    version = version_for(session, agreement, Mechanism.CONTRACT_FARMING, given_on, field="given_on")
    lock_agreements(session, [agreement.id])
    evidence = keep_evidence(
        session,
        actor,
        version=version,
        mechanism=Mechanism.CONTRACT_FARMING,
        key=_unused_key(session, agreement, receipt_no),
        occurred_on=given_on,
        content={
            "receipt_no": receipt_no,
            "amount_fen": amount_fen,
            "given_on": given_on.isoformat(),
            "agreement": agreement.public_no,
        },
        file=file,
    )
    advance = Advance(
        id=evidence.id,
        agreement_id=agreement.id,
        receipt_no=receipt_no,
        amount_fen=amount_fen,
        evidence=evidence,
    )
    session.add(advance)
    session.flush()
    record_trail(
        session,
        actor,
        "linkage.record_advance",
        subject=("evidence", evidence.public_no),
        household_id=agreement.household_id,
        receipt_no=receipt_no,
        amount_fen=amount_fen,
    )
    return advance


def _check_form(receipt_no: str, amount_fen: int) -> None:
    if not RECEIPT_NO.fullmatch(receipt_no):
        raise Refused("receipt_no", N_("收条号由数字、字母和横线组成，请照收条填写"), field="receipt_no")
    if amount_fen <= 0:
        raise Refused("amount", N_("预付款须大于零"), field="amount_fen")
    if amount_fen > MOST_ADVANCE_FEN:
        message = N_("一张收条不能超过 %(most)s 元，请核对金额")
        raise Refused("amount", message, field="amount_fen", most=format_yuan(MOST_ADVANCE_FEN))


def _unused_key(session: Session, agreement: Agreement, receipt_no: str) -> str:
    """The global key of the receipt. Raises Conflict, saying when it was first used, when it is taken."""
    key = advance_key(session.get_one(Cooperative, agreement.cooperative_id).uscc, receipt_no)
    first = evidence_under(session, key)
    if first is None:
        return key
    raise Conflict(
        "receipt_used",
        N_("收条 %(receipt_no)s 已在 %(day)s 记过，没有重复记录"),
        field="receipt_no",
        receipt_no=receipt_no,
        day=first.occurred_on.isoformat(),
    )
