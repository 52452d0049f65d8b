"""Asset lease as the rest of the room sees it: its terms, and what a rent receipt entitles each household to.

The village resolution fixes what the collective keeps of a rent and by which weights the rest is shared; each household
of its roster has an agreement that says so. A receipt is recorded once, and gives every one of them its share.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.core.errors import Conflict
from marketplace.core.labels import N_, LabelledEnum
from marketplace.core.money import BASIS, format_yuan, split_by_weights
from marketplace.linkage.mechanisms.asset_lease.models import MOST_WEIGHT, AssetRentReceipt, AssetRentShare
from marketplace.linkage.mechanisms.seam import (
    Computed,
    Described,
    Details,
    Terms,
    integer_term,
    only_known,
    text_term,
)
from marketplace.linkage.models import (
    Agreement,
    AgreementVersion,
    Attribution,
    Evidence,
    IncomeClass,
    LinkagePeriod,
    Mechanism,
)
from marketplace.linkage.spans import FOREVER

attributions: tuple[Attribution, ...] = (Attribution.ALLOCATED,)
income_class = IncomeClass.PROPERTY
RULE_VERSION = 1
NUMBER = r"[0-9A-Z\u4e00-\u9fff()（）〔〕\[\]\-]"
ASSET_FORM = rf"{NUMBER}{{3,30}}"
PAPER_FORM = rf"{NUMBER}{{2,40}}"
PERCENT = 100


class Term(LabelledEnum):
    """What such an agreement fixes."""

    ASSET = "asset_no", N_("资产登记号")
    LEASE = "lease_no", N_("租赁合同号")
    RESOLUTION = "resolution_no", N_("村民会议决议号")
    WEIGHT = "plan_weight", N_("分配份数")
    RETAIN = "retain_bp", N_("村集体留存比例")


def validate_terms(raw: Mapping[str, object]) -> dict[str, Any]:
    """The terms as they are kept: numbers of asset, lease and resolution, the household's weight in the resolution's
    plan, and what the village keeps of a rent in basis points. Raises Refused naming the field.
    """
    only_known(raw, [term.value for term in Term])
    hint = N_("编号由数字、大写字母、汉字、括号和横线组成，请照文件填写")
    return {
        "asset_no": text_term(_upper(raw), Term.ASSET, pattern=ASSET_FORM, hint=hint),
        "lease_no": text_term(_upper(raw), Term.LEASE, pattern=PAPER_FORM, hint=hint),
        "resolution_no": text_term(_upper(raw), Term.RESOLUTION, pattern=PAPER_FORM, hint=hint),
        "plan_weight": integer_term(raw, Term.WEIGHT, least=1, most=MOST_WEIGHT),
        "retain_bp": integer_term(raw, Term.RETAIN, least=0, most=BASIS - 1),
    }


def _upper(raw: Mapping[str, object]) -> dict[str, object]:
    return {name: value.upper() if isinstance(value, str) else value for name, value in raw.items()}


def describe_terms(terms: Terms) -> list[Described]:
    """The terms as people read them."""
    numbers = [
        Described(term.label, "%(text)s", {"text": terms[term.value]})
        for term in (Term.ASSET, Term.LEASE, Term.RESOLUTION)
    ]
    return [
        *numbers,
        Described(Term.WEIGHT.label, N_("%(count)s 份"), {"count": terms["plan_weight"]}),
        Described(Term.RETAIN.label, "%(percent)s%%", {"percent": percent_text(terms["retain_bp"])}),
    ]


def percent_text(rate_bp: int) -> str:
    """Basis points as a percentage without trailing zeros: 1250 -> "12.5"."""
    whole, rest = divmod(rate_bp, PERCENT)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".")


def retained_of(rent_fen: int, retain_bp: int) -> int:
    """What the village keeps of a rent: floor(rent * retain_bp / 10000), in fen."""
    return rent_fen * retain_bp // BASIS


@lru_cache(maxsize=16)
def shares_of_rent(rent_fen: int, retain_bp: int, weights: tuple[int, ...]) -> tuple[int, ...]:
    """The rest of a rent by plan weights, largest remainder, ties to the earlier weight; sums to the rest exactly."""
    return tuple(split_by_weights(rent_fen - retained_of(rent_fen, retain_bp), weights))


def entitlement(details: Details, terms: Terms, *, rule_version: int = RULE_VERSION) -> Computed:
    """One household's share of rent - floor(rent * retain_bp / 10000), due when the linkage period closes.

    `details`: asset_no, receipt_no, rent_fen, received_on and period_ends_on (ISO), weights of the whole roster in
    ascending order of household id, position of the household among them. Raises ValueError for an unknown rule
    version.
    """
    if rule_version != RULE_VERSION:
        raise ValueError(f"asset lease has no rule version {rule_version}")
    retain_bp, rent_fen = terms["retain_bp"], details["rent_fen"]
    shares = shares_of_rent(rent_fen, retain_bp, tuple(details["weights"]))
    return Computed(
        amount_fen=shares[details["position"]],
        due_on=date.fromisoformat(details["period_ends_on"]),
        inputs={
            "details": dict(details),
            "terms": {"retain_bp": retain_bp, "resolution_no": terms["resolution_no"]},
            "retained_fen": retained_of(rent_fen, retain_bp),
        },
        rule_version=rule_version,
    )


def summarise(inputs: Mapping[str, Any]) -> Described:
    """The asset and the receipt."""
    details = inputs["details"]
    params = {"asset": details["asset_no"], "receipt": details["receipt_no"]}
    return Described(N_("资产租金"), N_("资产 %(asset)s，收据 %(receipt)s"), params)


def explain(inputs: Mapping[str, Any]) -> list[Described]:
    """The rent, what the village keeps, and the household's weight among all."""
    details, terms = inputs["details"], inputs["terms"]
    yuan = N_("%(yuan)s 元")
    rest_fen = details["rent_fen"] - inputs["retained_fen"]
    kept = {"yuan": format_yuan(inputs["retained_fen"]), "percent": percent_text(terms["retain_bp"])}
    weights = details["weights"]
    share = {"weight": weights[details["position"]], "total": sum(weights), "households": len(weights)}
    return [
        Described(N_("租金"), yuan, {"yuan": format_yuan(details["rent_fen"])}),
        Described(N_("村集体留存"), N_("%(yuan)s 元（%(percent)s%%）"), kept),
        Described(N_("分给农户"), yuan, {"yuan": format_yuan(rest_fen)}),
        Described(Term.WEIGHT.label, N_("%(weight)s 份，名册里 %(households)s 户共 %(total)s 份"), share),
    ]


def details_of(session: Session, evidence_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """What the receipts and their rosters say, by evidence id."""
    asked = select(AssetRentShare.receipt_id).where(AssetRentShare.id.in_(evidence_ids))
    rosters: dict[int, list[AssetRentShare]] = {}
    shares = select(AssetRentShare).where(AssetRentShare.receipt_id.in_(asked))
    for share in session.scalars(shares.order_by(AssetRentShare.household_id)):
        rosters.setdefault(share.receipt_id, []).append(share)
    receipts = session.execute(
        select(AssetRentReceipt, LinkagePeriod.ends_on)
        .join(LinkagePeriod, LinkagePeriod.id == AssetRentReceipt.period_id)
        .where(AssetRentReceipt.id.in_(rosters))
    )
    wanted, found = set(evidence_ids), dict[int, dict[str, Any]]()
    for receipt, period_ends_on in receipts:
        roster = rosters[receipt.id]
        weights = [share.plan_weight for share in roster]
        for position, share in enumerate(roster):
            if share.id in wanted:
                found[share.id] = share_details(receipt, period_ends_on, weights, position)
    return found


def share_details(
    receipt: AssetRentReceipt, period_ends_on: date, weights: list[int], position: int
) -> dict[str, Any]:
    """A household's place in a receipt, as `entitlement` takes it."""
    return {
        "asset_no": receipt.asset_no,
        "receipt_no": receipt.receipt_no,
        "rent_fen": receipt.rent_fen,
        "received_on": receipt.received_on.isoformat(),
        "period_ends_on": period_ends_on.isoformat(),
        "weights": weights,
        "position": position,
    }


def recorded_until(session: Session, agreement: Agreement) -> date | None:
    """The day after the last rent received under the agreement."""
    last = session.scalar(
        select(func.max(Evidence.occurred_on))
        .join(AgreementVersion)
        .where(AgreementVersion.agreement_id == agreement.id)
    )
    return last + timedelta(days=1) if last else None


def claim(session: Session, agreement: Agreement, version: AgreementVersion) -> None:
    """Hold the household's place in the roster of the asset, which one cooperative rents at a time.

    Raises Conflict when on any of these days the household has another agreement over the asset, another cooperative
    rents it, or an agreement under the same resolution says otherwise what the village keeps.
    """
    asset_no = version.terms["asset_no"]
    query = (
        select(Agreement)
        .where(
            Agreement.mechanism == Mechanism.ASSET_LEASE,
            Agreement.id != agreement.id,
            Agreement.versions.any(AgreementVersion.terms["asset_no"].as_string() == asset_no),
        )
        .order_by(Agreement.id)
    )
    for other in session.scalars(query).unique():
        held = [one for one in other.versions if _overlaps(other, one, version) and _is_of(one, asset_no)]
        for one in held:
            _refuse_other_terms(agreement, other, one, version)


def _is_of(version: AgreementVersion, asset_no: str) -> bool:
    return bool(version.terms["asset_no"] == asset_no)


def _overlaps(agreement: Agreement, one: AgreementVersion, version: AgreementVersion) -> bool:
    """Whether `one` of the agreement holds on a day of `version`: until its next version, its term or its end."""
    later = [other.valid_from for other in agreement.versions if other.valid_from > one.valid_from]
    ends_on = min([*later, one.valid_to or FOREVER, agreement.ended_on or FOREVER])
    return one.valid_from < (version.valid_to or FOREVER) and ends_on > version.valid_from


def _refuse_other_terms(
    agreement: Agreement, other: Agreement, held: AgreementVersion, version: AgreementVersion
) -> None:
    asset = {"asset": version.terms["asset_no"]}
    if other.cooperative_id != agreement.cooperative_id:
        message = N_("资产 %(asset)s 同一时间已由另一家合作社租用，请核对资产登记号")
        raise Conflict("asset_taken", message, field="asset_no", **asset)
    if other.household_id == agreement.household_id:
        message = N_("该户的资产 %(asset)s 已有一份从 %(day)s 起生效的协议，请变更那一份")
        day = other.versions[0].valid_from.isoformat()
        raise Conflict("already_agreed", message, field="asset_no", day=day, **asset)
    same_resolution = held.terms["resolution_no"] == version.terms["resolution_no"]
    if same_resolution and held.terms["retain_bp"] != version.terms["retain_bp"]:
        raise Conflict(
            "retain_differs",
            N_("决议 %(resolution)s 在协议 %(other)s 里写的留存比例是 %(percent)s%%，同一决议只能有一个比例"),
            field="retain_bp",
            resolution=held.terms["resolution_no"],
            other=other.public_no,
            percent=percent_text(held.terms["retain_bp"]),
        )


def release(session: Session, agreement: Agreement, *, ends_on: date) -> None:
    """Nothing to free: what was claimed is read from the agreements themselves."""
