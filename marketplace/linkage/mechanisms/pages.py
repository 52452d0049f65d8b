"""The pages of the mechanisms there are. A further one is its own package and a line here (and one in table.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, url_for
from sqlalchemy.orm import Session

from marketplace.core.labels import N_
from marketplace.linkage.forms import AgreementForm
from marketplace.linkage.mechanisms.asset_lease import views as asset_views
from marketplace.linkage.mechanisms.asset_lease.forms import AssetForm
from marketplace.linkage.mechanisms.asset_lease.queries import share_of
from marketplace.linkage.mechanisms.contract_farming import views as contract_views
from marketplace.linkage.mechanisms.contract_farming.forms import ContractForm
from marketplace.linkage.mechanisms.contract_farming.queries import slip_of
from marketplace.linkage.mechanisms.employment import views as employment_views
from marketplace.linkage.mechanisms.employment.forms import EmploymentForm
from marketplace.linkage.mechanisms.employment.queries import attendance_of
from marketplace.linkage.mechanisms.land_transfer import views as lease_views
from marketplace.linkage.mechanisms.land_transfer.forms import LeaseForm
from marketplace.linkage.mechanisms.land_transfer.queries import year_of
from marketplace.linkage.mechanisms.production_trusteeship import views as trusteeship_views
from marketplace.linkage.mechanisms.production_trusteeship.forms import TrusteeshipForm
from marketplace.linkage.mechanisms.production_trusteeship.queries import record_of
from marketplace.linkage.mechanisms.share_cooperation import views as share_views
from marketplace.linkage.mechanisms.share_cooperation.forms import StakeForm
from marketplace.linkage.mechanisms.share_cooperation.queries import dividend_of
from marketplace.linkage.models import Agreement, Mechanism


@dataclass(frozen=True)
class MechanismPages:
    """How a mechanism shows on pages.

    Templates `terms.html` (fields of the terms) and `evidence.html` (facts of `detail`) lie in the folder `templates`;
    `intent` says what the mechanism is for, `record_label` and `record_url` lead to recording evidence, `statement`
    is the title of the printed confirmation; `more`, when there is one, is a further thing to do with an agreement.
    """

    templates: str
    intent: str
    terms_form: type[AgreementForm]
    detail_of: Callable[[Session, int], Any]
    record_label: str
    record_url: Callable[[Agreement], str]
    statement: str
    blueprint: Blueprint
    more: tuple[str, Callable[[Agreement], str]] | None = None


PAGES: dict[Mechanism, MechanismPages] = {
    Mechanism.CONTRACT_FARMING: MechanismPages(
        templates="linkage/contract_farming",
        intent=N_("合作社按保底价收购农户种的东西，一张过磅单算一笔。"),
        terms_form=ContractForm,
        detail_of=slip_of,
        record_label=N_("去批次里过磅"),
        record_url=lambda _agreement: url_for("linkage.lots"),
        statement=N_("过磅确认单"),
        blueprint=contract_views.bp,
        more=(
            N_("预付款"),
            lambda agreement: url_for(
                "linkage.contract_farming.advances.index", agreement_no=agreement.public_no
            ),
        ),
    ),
    Mechanism.LAND_TRANSFER: MechanismPages(
        templates="linkage/land_transfer",
        intent=N_("合作社租用农户的承包地，按面积和天数算租金。"),
        terms_form=LeaseForm,
        detail_of=year_of,
        record_label=N_("记一笔租金"),
        record_url=lambda agreement: url_for(
            "linkage.land_transfer.record_rent", agreement_no=agreement.public_no
        ),
        statement=N_("租金确认单"),
        blueprint=lease_views.bp,
    ),
    Mechanism.EMPLOYMENT: MechanismPages(
        templates="linkage/employment",
        intent=N_("农户家里的人来合作社干活，按小时或按件算工资。"),
        terms_form=EmploymentForm,
        detail_of=attendance_of,
        record_label=N_("记考勤"),
        record_url=lambda _agreement: url_for("linkage.employment.record_day"),
        statement=N_("务工确认单"),
        blueprint=employment_views.bp,
    ),
    Mechanism.PRODUCTION_TRUSTEESHIP: MechanismPages(
        templates="linkage/production_trusteeship",
        intent=N_("合作社代农户种管收卖，保底产量，农户付服务费，一季算一次。"),
        terms_form=TrusteeshipForm,
        detail_of=record_of,
        record_label=N_("记产量"),
        record_url=lambda agreement: url_for(
            "linkage.production_trusteeship.record", agreement_no=agreement.public_no
        ),
        statement=N_("托管产量确认单"),
        blueprint=trusteeship_views.bp,
    ),
    Mechanism.SHARE_COOPERATION: MechanismPages(
        templates="linkage/share_cooperation",
        intent=N_("农户持有合作社的股份，成员大会决定盈余怎么分，先登记决议，再算每户的分红。"),
        terms_form=StakeForm,
        detail_of=dividend_of,
        record_label=N_("登记分红决议"),
        record_url=lambda _agreement: url_for("linkage.share_cooperation.new_resolution"),
        statement=N_("分红确认单"),
        blueprint=share_views.bp,
        more=(
            N_("转让股份"),
            lambda agreement: url_for("linkage.share_cooperation.reassign", agreement_no=agreement.public_no),
        ),
    ),
    Mechanism.ASSET_LEASE: MechanismPages(
        templates="linkage/asset_lease",
        intent=N_("合作社租用村集体的资产，租金由村集体按决议分给农户。"),
        terms_form=AssetForm,
        detail_of=share_of,
        record_label=N_("记一笔资产租金"),
        record_url=lambda agreement: url_for(
            "linkage.asset_lease.record_rent", agreement_no=agreement.public_no
        ),
        statement=N_("资产租金确认单"),
        blueprint=asset_views.bp,
    ),
}
