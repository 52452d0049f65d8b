"""Recording weigh slips."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.trail import record_trail
from marketplace.linkage.evidence import (
    add_charge,
    evidence_under,
    grant_entitlement,
    keep_evidence,
    require_own,
    version_for,
)
from marketplace.linkage.mechanisms.contract_farming.formula import (
    entitlement,
    gross_fen,
    offset_fen,
    rule_version_for,
)
from marketplace.linkage.mechanisms.contract_farming.mechanism import slip_details
from marketplace.linkage.mechanisms.contract_farming.models import MOST_G, SlipQuota, WeighSlip
from marketplace.linkage.mechanisms.contract_farming.queries import (
    delivered_g,
    lock_agreements,
    outstanding_fen,
)
from marketplace.linkage.mechanisms.contract_farming.terms import MOST_FEN_PER_KG
from marketplace.linkage.mechanisms.seam import Computed
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    ChargeKind,
    Evidence,
    Lot,
    Mechanism,
)
from marketplace.registry.models import Cooperative

SLIP_NO = re.compile(r"[0-9A-Z][0-9A-Z-]{0,39}")
MOST_TONNES = MOST_G // 1_000_000


def slip_key(uscc: str, slip_no: str) -> str:
    """The global key of a weigh slip: the cooperative's credit code and the number printed on the slip."""
    return f"weigh_slip:{uscc}:{slip_no}"


def following_slip_no(slip_no: str) -> str:
    """The number printed on the next slip of a pad: its last digits, one more. Empty when it ends in no digits."""
    stem = slip_no.rstrip("0123456789")
    digits = slip_no[len(stem) :]
    following = f"{stem}{int(digits) + 1:0{len(digits)}d}" if digits else ""
    return following if SLIP_NO.fullmatch(following) else ""


def record_weigh_slip(
    session: Session,
    actor: Actor,
    *,
    agreement: Agreement,
    lot: Lot,
    slip_no: str,
    weighed_on: date,
    grade: str,
    net_g: int,
    signatures: tuple[str, str],
    market_price_fen_per_kg: int | None = None,
    file: StoredFile | None = None,
) -> Evidence:
    """Record produce weighed into `lot` under `agreement`, and what it entitles the household to.

    `net_g` in grams; `market_price_fen_per_kg` is the day's market price, when there was one; `signatures` are the
    names of who signed for the household and for the cooperative. The lot receives the grams in the same transaction,
    and where the agreement says so, the charge that repays advances is made.
    Raises Refused (field named) for a day, weight, price or signature that cannot be; Conflict when the slip's number
    was used before; NotFound for somebody else's agreement or lot. Then nothing has changed.
    """
    require_own(actor, agreement, lot)
    slip = WeighSlip(
        lot_id=lot.id,
        slip_no=slip_no.strip().upper(),
        grade=grade.strip(),
        net_g=net_g,
        market_price_fen_per_kg=market_price_fen_per_kg,
        household_signer=signatures[0].strip(),
        cooperative_signer=signatures[1].strip(),
    )
    _check_form(slip)
    version = version_for(session, agreement, Mechanism.CONTRACT_FARMING, weighed_on, field="weighed_on")
    _check_commodity(version, lot)
    details = slip_details(slip, weighed_on)
    evidence = keep_evidence(
        session,
        actor,
        version=version,
        mechanism=Mechanism.CONTRACT_FARMING,
        key=_unused_key(session, agreement, slip),
        occurred_on=weighed_on,
        content={
            **details,
            "lot": lot.public_no,
            "agreement": agreement.public_no,
            "signatures": [slip.household_signer, slip.cooperative_signer],
        },
        file=file,
    )
    slip.id = evidence.id
    session.add(slip)
    session.flush()
    details |= _standing(session, agreement, version, details, slip)
    computed = entitlement(details, version.terms, rule_version=rule_version_for(version.terms))
    grant_entitlement(session, evidence, agreement, computed, lot_id=lot.id)
    _repay(session, evidence, agreement, computed)
    _receive(session, lot, net_g)
    _tell(session, actor, evidence, slip, agreement, lot, computed.amount_fen)
    return evidence


def _standing(
    session: Session,
    agreement: Agreement,
    version: AgreementVersion,
    details: dict[str, Any],
    slip: WeighSlip,
) -> dict[str, int]:
    """How quota and advances stand before this slip, for its entitlement.

    The agreement stays locked until the end of the transaction, so that two slips at once see one another.
    """
    terms, standing = version.terms, {}
    if "quota_g" not in terms and "cap_bp" not in terms:
        return {}
    lock_agreements(session, [agreement.id])
    day = date.fromisoformat(details["weighed_on"])
    if "quota_g" in terms:
        before_g = delivered_g(session, version, day.year, but=slip.id)
        session.add(SlipQuota(id=slip.id, before_g=before_g))
        standing["before_g"] = before_g
    if "cap_bp" in terms:
        outstanding = outstanding_fen(session, agreement, on=day)
        if offset_fen(gross_fen(details, terms), outstanding, terms["cap_bp"]):
            standing["outstanding_fen"] = outstanding
    return standing


def _repay(session: Session, evidence: Evidence, agreement: Agreement, computed: Computed) -> None:
    """Make the charge that repays advances, when the slip repays some."""
    charge_fen = computed.inputs.get("charge_fen", 0)
    if not charge_fen:
        return
    add_charge(
        session,
        evidence,
        agreement,
        kind=ChargeKind.ADVANCE_REPAID,
        amount_fen=charge_fen,
        charged_on=evidence.occurred_on,
        inputs={
            "outstanding_fen": computed.inputs["details"]["outstanding_fen"],
            "gross_fen": computed.inputs["gross_fen"],
            "cap_bp": computed.inputs["terms"]["cap_bp"],
            "rule_version": computed.rule_version,
        },
    )


def _check_form(slip: WeighSlip) -> None:
    if not SLIP_NO.fullmatch(slip.slip_no):
        raise Refused("slip_no", N_("过磅单号由数字、字母和横线组成，请照单据填写"), field="slip_no")
    if not 0 < len(slip.grade) <= 20:
        raise Refused("grade", N_("请填写等级，例如“特级”“一级”或“统货”"), field="grade")
    if slip.net_g <= 0:
        raise Refused("net_g", N_("净重须大于零"), field="net_g")
    if slip.net_g > MOST_G:
        message = N_("一张过磅单不能超过 %(most)s 吨，请核对单位是否为千克")
        raise Refused("net_g", message, field="net_g", most=MOST_TONNES)
    price = slip.market_price_fen_per_kg
    if price is not None and not 0 < price <= MOST_FEN_PER_KG:
        message = N_("市价超出了合理范围，请核对单位是否为元/千克")
        raise Refused("market_price", message, field="market_price_fen_per_kg")
    _check_signers(slip)


def _check_signers(slip: WeighSlip) -> None:
    for field in ("household_signer", "cooperative_signer"):
        if not 0 < len(getattr(slip, field)) <= 60:
            raise Refused("unsigned", N_("过磅单须有农户和合作社双方签字，请填写签字人姓名"), field=field)
    if slip.household_signer == slip.cooperative_signer:
        raise Refused("same_signer", N_("双方签字不能是同一个人"), field="cooperative_signer")


def _check_commodity(version: AgreementVersion, lot: Lot) -> None:
    agreed = version.terms["commodity"]
    if agreed != lot.commodity:
        raise Refused(
            "wrong_commodity",
            N_("协议约定收购“%(agreed)s”，而这个批次是“%(lot)s”"),
            agreed=agreed,
            lot=lot.commodity,
        )


def _unused_key(session: Session, agreement: Agreement, slip: WeighSlip) -> str:
    """The global key of the slip. Raises Conflict, saying when it was first used, when it is taken."""
    cooperative = session.get_one(Cooperative, agreement.cooperative_id)
    key = slip_key(cooperative.uscc, slip.slip_no)
    first = evidence_under(session, key)
    if first is None:
        return key
    used = session.get_one(WeighSlip, first.id)
    raise Conflict(
        "slip_used",
        N_("过磅单 %(slip_no)s 已在 %(day)s 记入批次 %(lot)s，没有重复记录"),
        field="slip_no",
        slip_no=slip.slip_no,
        day=first.occurred_on.isoformat(),
        lot=used.lot.lot_no,
    )


def _receive(session: Session, lot: Lot, net_g: int) -> None:
    session.execute(
        update(Lot)
        .where(Lot.id == lot.id)
        .values(received_g=Lot.received_g + net_g)
        .execution_options(synchronize_session=False)
    )
    session.refresh(lot, ["received_g", "committed_g", "promised_g"])


def _tell(
    session: Session,
    actor: Actor,
    evidence: Evidence,
    slip: WeighSlip,
    agreement: Agreement,
    lot: Lot,
    amount_fen: int,
) -> None:
    record_trail(
        session,
        actor,
        "linkage.record_weigh_slip",
        subject=("evidence", evidence.public_no),
        household_id=agreement.household_id,
        slip_no=slip.slip_no,
        lot=lot.public_no,
        net_g=slip.net_g,
        amount_fen=amount_fen,
    )
