"""Reading rent receipts, the rosters they are shared by, and what villages keep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from marketplace.core.errors import NotFound
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.mechanisms.asset_lease.models import AssetRentReceipt, AssetRentShare
from marketplace.linkage.models import Agreement, AgreementVersion, Entitlement, Mechanism
from marketplace.linkage.queries import version_on
from marketplace.registry.cooperatives.queries import cooperatives_within


@dataclass(frozen=True)
class Place:
    """A household's place in the roster of an asset: its agreement and the version in force."""

    agreement: Agreement
    version: AgreementVersion


def roster_of(session: Session, cooperative_id: int, asset_no: str, day: date) -> list[Place]:
    """Whose agreements over the asset are in force on `day`, in ascending order of household id."""
    query = (
        select(Agreement)
        .where(
            Agreement.cooperative_id == cooperative_id,
            Agreement.mechanism == Mechanism.ASSET_LEASE,
            Agreement.versions.any(AgreementVersion.terms["asset_no"].as_string() == asset_no),
        )
        .options(selectinload(Agreement.versions))
        .order_by(Agreement.household_id, Agreement.id)
    )
    found = [(one, version_on(one, day)) for one in session.scalars(query).unique()]
    return [
        Place(one, version) for one, version in found if version and version.terms["asset_no"] == asset_no
    ]


def receipt_under(session: Session, asset_no: str, receipt_no: str) -> AssetRentReceipt | None:
    """The receipt already recorded for an asset under a number, by whomever."""
    return session.scalar(
        select(AssetRentReceipt).where(
            AssetRentReceipt.asset_no == asset_no, AssetRentReceipt.receipt_no == receipt_no
        )
    )


def receipts_visible_to(actor: Actor) -> Select[AssetRentReceipt]:
    """The receipts the actor may read, the latest first."""
    query = select(AssetRentReceipt).order_by(AssetRentReceipt.received_on.desc(), AssetRentReceipt.id.desc())
    if actor.can(Permission.RECORD_EVIDENCE):
        return query.where(AssetRentReceipt.cooperative_id == actor.cooperative_id)
    return query.where(AssetRentReceipt.cooperative_id.in_(cooperatives_within(actor)))


def receipt_by_no(session: Session, actor: Actor, receipt_no: str) -> AssetRentReceipt:
    """One visible receipt by its public number. Raises NotFound."""
    query = receipts_visible_to(actor).where(AssetRentReceipt.public_no == receipt_no)
    receipt = session.scalar(query.options(joinedload(AssetRentReceipt.file)))
    if receipt is None:
        raise NotFound
    return receipt


def shares_of_receipt(receipt: AssetRentReceipt) -> Select[Entitlement]:
    """What a receipt entitles to, by household id, with household and evidence."""
    return (
        select(Entitlement)
        .join(AssetRentShare, AssetRentShare.id == Entitlement.evidence_id)
        .where(AssetRentShare.receipt_id == receipt.id)
        .options(joinedload(Entitlement.household), joinedload(Entitlement.evidence))
        .order_by(Entitlement.household_id)
    )


def share_of(session: Session, evidence_id: int) -> AssetRentShare:
    """The share of a piece of evidence, with its receipt."""
    return session.get_one(AssetRentShare, evidence_id, options=[joinedload(AssetRentShare.receipt)])


def retained_by_village(session: Session, period_id: int) -> dict[str, int]:
    """What each village collective keeps of the rents received in a linkage period, in fen, by the village's code."""
    rows = session.execute(
        select(AssetRentReceipt.village_code, func.sum(AssetRentReceipt.retained_fen))
        .where(AssetRentReceipt.period_id == period_id)
        .group_by(AssetRentReceipt.village_code)
        .order_by(AssetRentReceipt.village_code)
    )
    return {village_code: int(retained_fen) for village_code, retained_fen in rows}
