"""Recording the rent of a village asset: one receipt, and the share of every household of the roster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict, Refused
from marketplace.core.labels import N_
from marketplace.identity.actors import Actor
from marketplace.identity.models import StoredFile
from marketplace.identity.trail import record_trail
from marketplace.linkage.evidence import grant_entitlement, keep_evidence, own_cooperative_id, version_for
from marketplace.linkage.mechanisms.asset_lease.mechanism import entitlement, retained_of, share_details
from marketplace.linkage.mechanisms.asset_lease.models import MOST_RENT_FEN, AssetRentReceipt, AssetRentShare
from marketplace.linkage.mechanisms.asset_lease.queries import Place, receipt_under, roster_of
from marketplace.linkage.models import LinkagePeriod, Mechanism
from marketplace.linkage.queries import period_on
from marketplace.registry.queries import beneficiaries_of

RECEIPT_NO = re.compile(r"[0-9A-Z][0-9A-Z-]{0,29}")
MOST_HOUSEHOLDS = 1000
AGREED = ("resolution_no", "retain_bp", "lease_no")


def rent_key(asset_no: str, receipt_no: str, household_no: str) -> str:
    """The global key of a household's share of a rent: asset, receipt and household."""
    return f"asset_rent:{asset_no}:{receipt_no}:{household_no}"


def record_asset_rent(
    session: Session,
    actor: Actor,
    *,
    asset_no: str,
    receipt_no: str,
    rent_fen: int,
    received_on: date,
    village_code: str,
    file: StoredFile | None = None,
) -> AssetRentReceipt:
    """Record one rent that the village `village_code` received for its asset, and each household's share of it.

    `rent_fen` in fen. The roster are the cooperative's agreements over the asset in force that day. Raises Refused
    (field named) for an amount, day or roster that cannot be, naming the agreement that differs; Conflict when the
    asset's receipt was recorded before. Then nothing has changed.
    """
    cooperative_id = own_cooperative_id(actor)
    receipt_no = receipt_no.strip().upper()
    _check_form(receipt_no, rent_fen)
    roster = roster_of(session, cooperative_id, asset_no, received_on)
    if not roster:
        message = N_("资产 %(asset)s 在 %(day)s 没有有效的协议，没有可分的农户")
        day = received_on.isoformat()
        raise Refused("no_roster", message, field="received_on", asset=asset_no, day=day)
    _check_roster(session, roster, received_on, village_code)
    period = _open_period(session, cooperative_id, received_on)
    _refuse_used(session, asset_no, receipt_no)
    terms = roster[0].version.terms
    receipt = AssetRentReceipt(
        cooperative_id=cooperative_id,
        village_code=village_code,
        period_id=period.id,
        asset_no=asset_no,
        receipt_no=receipt_no,
        lease_no=terms["lease_no"],
        resolution_no=terms["resolution_no"],
        rent_fen=rent_fen,
        retain_bp=terms["retain_bp"],
        retained_fen=retained_of(rent_fen, terms["retain_bp"]),
        received_on=received_on,
        file_id=file.id if file else None,
        recorded_by=actor.user_id,
    )
    session.add(receipt)
    session.flush()
    _share(session, actor, receipt, period, roster, file)
    record_trail(
        session,
        actor,
        "linkage.record_asset_rent",
        subject=("asset_rent_receipt", receipt.public_no),
        asset_no=asset_no,
        receipt_no=receipt_no,
        rent_fen=rent_fen,
        retained_fen=receipt.retained_fen,
        households=len(roster),
    )
    return receipt


def _check_form(receipt_no: str, rent_fen: int) -> None:
    if not RECEIPT_NO.fullmatch(receipt_no):
        raise Refused("receipt_no", N_("收据号由数字、字母和横线组成，请照收据填写"), field="receipt_no")
    if not 0 < rent_fen <= MOST_RENT_FEN:
        raise Refused("rent_fen", N_("租金须大于零，并且在合理范围内，请核对单位是否为元"), field="rent_fen")


def _check_roster(session: Session, roster: Sequence[Place], received_on: date, village_code: str) -> None:
    """One resolution, lease and retained part for all, everybody of the village and a beneficiary that day."""
    if len(roster) > MOST_HOUSEHOLDS:
        message = N_("一项资产最多分给 %(most)s 户")
        raise Refused("too_many_households", message, most=MOST_HOUSEHOLDS)
    first = roster[0]
    for place in roster:
        if any(place.version.terms[term] != first.version.terms[term] for term in AGREED):
            raise Refused(
                "roster_differs",
                N_("协议 %(other)s（%(name)s）的决议、合同或留存比例与协议 %(first)s 不一致，请先变更"),
                other=place.agreement.public_no,
                name=place.agreement.household.head_name,
                first=first.agreement.public_no,
            )
        if place.agreement.household.village_code != village_code:
            raise Refused(
                "other_village",
                N_("%(name)s（协议 %(other)s）不住在这个村，不能分这个村的资产租金"),
                name=place.agreement.household.head_name,
                other=place.agreement.public_no,
            )
    ids = [place.agreement.household_id for place in roster]
    counted = beneficiaries_of(session, ids, valid_on=received_on)
    for place in roster:
        if place.agreement.household_id not in counted:
            raise Refused(
                "not_beneficiary",
                N_("%(name)s（协议 %(other)s）在 %(day)s 不属于帮扶对象，请先终止这份协议"),
                name=place.agreement.household.head_name,
                other=place.agreement.public_no,
                day=received_on.isoformat(),
            )
    version_for(session, first.agreement, Mechanism.ASSET_LEASE, received_on, field="received_on")


def _open_period(session: Session, cooperative_id: int, received_on: date) -> LinkagePeriod:
    """The linkage period of the day; that it is open, the version of the day has been asked for."""
    period = period_on(session, cooperative_id, received_on)
    if period is None:
        message = N_("%(day)s 还没有联结期，请先开设一个联结期")
        raise Refused("no_period", message, field="received_on", day=received_on.isoformat())
    return period


def _refuse_used(session: Session, asset_no: str, receipt_no: str) -> None:
    used = receipt_under(session, asset_no, receipt_no)
    if used is not None:
        raise Conflict(
            "receipt_used",
            N_("资产 %(asset)s 的收据 %(receipt)s 已按 %(day)s 收到记过，没有重复记录"),
            field="receipt_no",
            asset=asset_no,
            receipt=receipt_no,
            day=used.received_on.isoformat(),
        )


def _share(
    session: Session,
    actor: Actor,
    receipt: AssetRentReceipt,
    period: LinkagePeriod,
    roster: Sequence[Place],
    file: StoredFile | None,
) -> None:
    weights = [place.version.terms["plan_weight"] for place in roster]
    for position, place in enumerate(roster):
        household = place.agreement.household
        details = share_details(receipt, period.ends_on, weights, position)
        evidence = keep_evidence(
            session,
            actor,
            version=place.version,
            mechanism=Mechanism.ASSET_LEASE,
            key=rent_key(receipt.asset_no, receipt.receipt_no, household.public_no),
            occurred_on=receipt.received_on,
            content={**details, "agreement": place.agreement.public_no, "receipt": receipt.public_no},
            file=file,
        )
        session.add(
            AssetRentShare(
                id=evidence.id,
                receipt_id=receipt.id,
                household_id=household.id,
                plan_weight=weights[position],
            )
        )
        computed = entitlement(details, place.version.terms)
        grant_entitlement(session, evidence, place.agreement, computed, period_id=period.id)
