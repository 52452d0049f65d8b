"""The main navigation: which pages a role sees, in the order of its day."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from operator import itemgetter

from flask import Flask, current_app, request, url_for
from flask_babel import gettext

from marketplace.core.labels import N_
from marketplace.identity.access import current_actor
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.ordering.cart.queries import cart_count
from marketplace.ordering.models import OrderKind
from marketplace.ordering.served import serves_units
from marketplace.payments.awaited import transfers_awaited
from marketplace.web.locale import label
from marketplace.web.transaction import current_session

P = Permission


class Needs(Enum):
    """What a deployment has to offer for a place to make sense (see ordering/served.py)."""

    NOTHING = auto()
    UNIT_SALES = auto()
    TRANSFERS = auto()
    COLLECTING = auto()


@dataclass(frozen=True)
class Place:
    """A page of the navigation, for those with one of `permissions`; for every signed-in user when there are none.
    `needs` is what the deployment must offer; `above` the further addresses that its other pages lie under."""

    label: str
    endpoint: str
    permissions: tuple[Permission, ...] = ()
    needs: Needs = Needs.NOTHING
    above: tuple[str, ...] = ()


PLACES = (
    Place(N_("工作台"), "reporting.desk"),
    Place(N_("追踪核查"), "audit.index", (P.READ_AUDIT,)),
    Place(N_("认定抽查"), "recognition.rounds", (P.CHECK_RECOGNITIONS,)),
    Place(N_("审核"), "reviews.queue", (P.ANSWER_REVIEWS,)),
    Place(
        N_("银行对账"),
        "payments.statements",
        (P.MATCH_BANK_LINES,),
        Needs.TRANSFERS,
        ("/cashier/queue", "/cashier/notices"),
    ),
    Place(N_("退款转回"), "refunds.transfers", (P.MATCH_BANK_LINES,)),
    Place(N_("我的收入"), "reporting.my_income", (P.READ_OWN_INCOME,), above=("/my",)),
    Place(N_("我的入社"), "registry.my_enrolments", (P.READ_OWN_INCOME,), above=("/enrolments",)),
    Place(N_("选购"), "catalog.products", (P.BUY_PERSONALLY, P.ORDER_FOR_UNIT)),
    Place(N_("求购比价"), "requests.index", (P.ORDER_FOR_UNIT,), Needs.UNIT_SALES),
    Place(N_("采购审批"), "procurement.approvals", (P.APPROVE_ORDERS,)),
    Place(N_("订单"), "ordering.orders", (P.BUY_PERSONALLY, P.ORDER_FOR_UNIT, P.APPROVE_ORDERS)),
    Place(
        N_("长期订单"), "standing.coming", (P.ORDER_FOR_UNIT, P.APPROVE_ORDERS), above=("/standing-orders",)
    ),
    Place(N_("拼单"), "group_purchases.index", (P.BUY_PERSONALLY, P.ORDER_FOR_UNIT, P.RECEIVE_FOR_UNIT)),
    Place(N_("收货验收"), "ordering.deliveries", (P.BUY_PERSONALLY, P.RECEIVE_FOR_UNIT), above=("/parts",)),
    Place(
        N_("应付货款"),
        "payments.payables",
        (P.PAY_FOR_UNIT,),
        Needs.TRANSFERS,
        ("/payments", "/invoices", "/interest"),
    ),
    Place(N_("评价"), "evaluations.index", (P.BUY_PERSONALLY, P.RECEIVE_FOR_UNIT)),
    Place(N_("消费帮扶凭证"), "purchase_certificates.index", (P.CERTIFY_PURCHASES, P.READ_AUDIT)),
    Place(
        N_("预留份额"),
        "quota_reports.own",
        (P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT),
    ),
    Place(N_("订单履约"), "ordering.fulfilment", (P.FULFIL_ORDERS,), above=("/parts",)),
    Place(N_("备货发货"), "packing.index", (P.FULFIL_ORDERS,)),
    Place(N_("长期供货"), "standing_supply.promises", (P.FULFIL_ORDERS,)),
    Place(
        N_("应收账款"),
        "receivables.index",
        (P.FULFIL_ORDERS,),
        Needs.TRANSFERS,
        ("/invoices", "/interest", "/bills"),
    ),
    Place(
        N_("产品与上架"), "workshop.products", (P.MANAGE_LISTINGS,), above=("/workshop", "/catalog-sheets")
    ),
    Place(N_("我们的故事"), "stories.own", (P.MANAGE_LISTINGS,)),
    Place(N_("价格核对"), "prices.watch", (P.MANAGE_LISTINGS, P.MANAGE_REFERENCE_PRICES), above=("/prices",)),
    Place(N_("供求大厅"), "requests.board.index", (P.MANAGE_LISTINGS,), Needs.UNIT_SALES),
    Place(N_("批次与称重"), "linkage.lots", (P.RECORD_EVIDENCE,), above=("/lots",)),
    Place(
        N_("考勤"),
        "linkage.employment.record_day",
        (P.RECORD_EVIDENCE,),
        above=("/linkage/sheets/new/attendance",),
    ),
    Place(
        N_("协议"),
        "linkage.agreements",
        (P.RECORD_EVIDENCE, P.READ_AUDIT),
        above=("/linkage/evidence", "/linkage/asset-rents", "/linkage/sheets"),
    ),
    Place(N_("联结期与关账"), "linkage.periods", (P.CLOSE_PERIODS, P.READ_AUDIT)),
    Place(N_("发放"), "payouts.batches", (P.PREPARE_PAYOUTS, P.APPROVE_PAYOUTS)),
    Place(N_("在线收款账户"), "receiving_account.own", (P.FULFIL_ORDERS,), Needs.COLLECTING),
    Place(N_("销售统计"), "sales.index", (P.FULFIL_ORDERS,)),
    Place(N_("退款申请"), "refunds.requests", (P.FULFIL_ORDERS,)),
    Place(N_("分红决议"), "linkage.share_cooperation.resolutions", (P.RECORD_EVIDENCE, P.READ_AUDIT)),
    Place(N_("待分配资金"), "closing.unallocated_pools", (P.CLOSE_PERIODS, P.READ_AUDIT)),
    Place(N_("应扣款"), "payments.charges.index", (P.RECORD_EVIDENCE, P.READ_OWN_INCOME)),
    Place(N_("稻谷价格"), "linkage.land_transfer.grain.prices", (P.RECORD_STATUS, P.MANAGE_USERS)),
    Place(N_("农户名单"), "registry.households", (P.READ_HOUSEHOLDS,), above=("/enrolments",)),
    Place(N_("名册导入"), "roster.imports", (P.ENROL_HOUSEHOLDS,)),
    Place(N_("认证证书"), "certificates.index", (P.MANAGE_LISTINGS, P.SUSPEND_CERTIFICATES, P.READ_AUDIT)),
    Place(N_("产品认定"), "recognition.index", (P.MANAGE_LISTINGS, P.ANSWER_REVIEWS, P.READ_AUDIT)),
    Place(N_("验收争议"), "rejections.disputes", (P.MEDIATE_DISPUTES,)),
    Place(N_("入账更正"), "corrections.index", (P.CORRECT_CREDITS,)),
    Place(N_("采购统计"), "sales.unit", (P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.PAY_FOR_UNIT)),
    Place(N_("辖区销售"), "sales.region", (P.READ_QUOTAS,)),
    Place(N_("预留份额排名"), "quota_reports.ranking", (P.READ_QUOTAS,)),
    Place(N_("我的下载"), "downloads.index", (P.READ_AUDIT, P.FULFIL_ORDERS)),
    Place(N_("操作日志"), "identity.trail", (P.READ_TRAIL,)),
    Place(N_("付款争议"), "disputes.index", (P.MATCH_BANK_LINES, P.READ_AUDIT)),
    Place(
        N_("每日对账"),
        "reconciliation.index",
        (P.MATCH_BANK_LINES, P.READ_AUDIT),
        above=("/cashier/payouts",),
    ),
    Place(N_("划付合作社"), "transfers.index", (P.MATCH_BANK_LINES, P.READ_AUDIT), Needs.COLLECTING),
    Place(N_("我的合作社"), "cooperatives.own", (P.MANAGE_LISTINGS,)),
    Place(
        N_("本单位"),
        "buyer_units.own",
        (P.ORDER_FOR_UNIT, P.APPROVE_ORDERS, P.RECEIVE_FOR_UNIT, P.PAY_FOR_UNIT),
        above=("/unit", "/budgets", "/receiving-policy"),
    ),
    Place(N_("我的收货地址"), "addresses.index", (P.BUY_PERSONALLY,)),
    Place(N_("用户"), "users.index", (P.MANAGE_USERS, P.MANAGE_COOPERATIVE)),
    Place(N_("采购单位"), "buyer_units.index", (P.MANAGE_USERS,)),
    Place(N_("预留份额规则"), "quota.quota_rules", (P.MANAGE_QUOTA_RULES,)),
    Place(N_("政府部门"), "offices.index", (P.MANAGE_USERS,)),
    Place(N_("搜索索引"), "rebuilds.index", (P.MANAGE_SEARCH,)),
    Place(N_("审核步骤"), "review_steps.index", (P.MANAGE_USERS,)),
)


def places_of(actor: Actor) -> list[Place]:
    """The places the actor may go to."""
    if actor.user_id is None:
        return []
    return [
        place
        for place in PLACES
        if not place.permissions or any(actor.can(wanted) for wanted in place.permissions)
    ]


def _missing() -> set[Needs]:
    """What this deployment does not offer. Transfers that are still to come keep their pages in sight."""
    missing = set() if current_app.extensions["collector"] is not None else {Needs.COLLECTING}
    if not serves_units():
        missing.add(Needs.UNIT_SALES)
        if not transfers_awaited(current_session()):
            missing.add(Needs.TRANSFERS)
    return missing


def _mark_here(items: list[dict[str, object]], places: list[Place]) -> None:
    """Mark the place that is shown, or else the nearest one that the page lies under."""
    here = f"{request.path}/"
    shown = [item for item in items if item["url"] == request.path]
    above = [
        (len(root), item)
        for item, place in zip(items, places, strict=True)
        for root in (str(item["url"]).rstrip("/"), *place.above)
        if here.startswith(f"{root}/")
    ]
    for item in shown or [item for _, item in sorted(above, key=itemgetter(0))[-1:]]:
        item["active"] = "page" if shown else "true"


def init_navigation(app: Flask) -> None:
    """Give every page its navigation, the reader's role and the count of the cart."""

    def context() -> dict[str, object]:
        actor = current_actor()
        if actor.user_id is None:
            return {"nav_items": []}
        missing = _missing()
        places = [
            place
            for place in places_of(actor)
            if place.endpoint in current_app.view_functions and place.needs not in missing
        ]
        items: list[dict[str, object]] = [
            {"label": gettext(place.label), "url": url_for(place.endpoint), "active": None, "count": None}
            for place in places
        ]
        _mark_here(items, places)
        role = min(actor.roles) if actor.roles else None
        found: dict[str, object] = {"nav_items": items, "role_label": label(role)}
        kinds = [
            kind
            for kind, permission in (
                (OrderKind.CANTEEN, P.ORDER_FOR_UNIT),
                (OrderKind.PERSONAL, P.BUY_PERSONALLY),
            )
            if actor.can(permission)
        ]
        if kinds:
            found["cart_count"] = sum(cart_count(current_session(), actor, kind) for kind in kinds)
        return found

    app.context_processor(context)
