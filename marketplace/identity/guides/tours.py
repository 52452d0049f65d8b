"""The first three steps of each role: what to do, why, and the page it is done on."""

from __future__ import annotations

from dataclasses import dataclass

from marketplace.core.labels import N_
from marketplace.identity.models import Role


@dataclass(frozen=True)
class Step:
    """`title` and `text` are Chinese source strings; `endpoint` is the page."""

    title: str
    text: str
    endpoint: str


_DESK = Step(N_("先看工作台"), N_("等您办的事都列在这里，从上往下办。"), "reporting.desk")
_QUOTA = Step(N_("看看预留份额"), N_("今年要完成多少、已经完成多少，都从订单算出来。"), "quota_reports.own")
_REVIEW = (
    _DESK,
    Step(N_("办一件审核"), N_("看材料，选通过或退回，写清意见。"), "reviews.queue"),
    Step(N_("认识辖区的农户"), N_("打开一户，看它的协议、收入和每一步记录。"), "registry.households"),
)
ABOUT_TRANSFERS = frozenset({"payments.payables", "payments.statements"})  # nothing where units do not buy
TOURS: dict[Role, tuple[Step, Step, Step]] = {
    Role.COOPERATIVE_MANAGER: (
        Step(
            N_("导入农户名册"),
            N_("先有农户，才有联结。名册里有问题的行会说明怎么改。"),
            "roster.imports",
        ),
        Step(
            N_("签第一份协议"),
            N_("选一户，选一种联结方式，写清价格和期限。"),
            "linkage.agreements",
        ),
        Step(N_("上架第一个产品"), N_("写清品名规格，传照片，定价和联结比例。"), "workshop.products"),
    ),
    Role.COOPERATIVE_CLERK: (
        Step(N_("导入农户名册"), N_("下载模板照着填，传上来会逐行检查。"), "roster.imports"),
        Step(
            N_("建一个批次，记过磅单"),
            N_("称多少、值多少，当场看得到，也能打印给农户。"),
            "linkage.lots",
        ),
        Step(N_("备货发货"), N_("等确认的订单在这里，填运单号登记发货。"), "ordering.fulfilment"),
    ),
    Role.HOUSEHOLD: (
        Step(
            N_("看看您家的入社"),
            N_("合作社请您家加入，要您点头才算数。"),
            "registry.my_enrolments",
        ),
        Step(
            N_("看看您家的收入"),
            N_("每一笔写明哪批货、谁买的；一户一档里看得到怎么算出来的。"),
            "reporting.my_income",
        ),
        Step(N_("换一个自己的密码"), N_("密码只有您知道，别告诉别人。"), "identity.account"),
    ),
    Role.VILLAGE_REVIEWER: _REVIEW,
    Role.TOWNSHIP_REVIEWER: _REVIEW,
    Role.COUNTY_REVIEWER: _REVIEW,
    Role.UNIT_ORDERER: (
        Step(
            N_("选一样货"),
            N_("每个产品都写着产地、证书，和每 100 元归农户多少。"),
            "catalog.products",
        ),
        Step(N_("下一单"), N_("放进购物车，填收货信息，提交后自动送审批。"), "ordering.cart"),
        _QUOTA,
    ),
    Role.UNIT_APPROVER: (
        _DESK,
        Step(N_("审批订单"), N_("看买什么、多少钱、预算还剩多少，再同意或退回。"), "procurement.approvals"),
        _QUOTA,
    ),
    Role.UNIT_RECEIVER: (
        Step(
            N_("收一次货"),
            N_("货到先确认收货，再验收；有问题的逐项填写，拍照上传。"),
            "ordering.deliveries",
        ),
        Step(N_("说几句评价"), N_("只有真正收过货的人才能评价。"), "evaluations.index"),
        _QUOTA,
    ),
    Role.UNIT_PAYER: (
        Step(N_("看应付货款"), N_("哪一天到期、汇款码是什么，都在付款单上。"), "payments.payables"),
        Step(N_("开一张消费帮扶凭证"), N_("付完款就能开，谁扫码都能核对。"), "purchase_certificates.index"),
        _QUOTA,
    ),
    Role.STAFF_BUYER: (
        Step(
            N_("选一样货"),
            N_("每个产品都写着产地、证书，和每 100 元归农户多少。"),
            "catalog.products",
        ),
        Step(N_("看看订单"), N_("付款、发货、退款，每一步都在这里。"), "ordering.orders"),
        Step(N_("收货验收"), N_("收到货按一下验收，钱才分到农户名下。"), "ordering.deliveries"),
    ),
    Role.AUDITOR: (
        Step(N_("追一笔钱"), N_("从一笔入账往回看凭据，往前看每一户。"), "audit.index"),
        Step(N_("看待分配资金"), N_("等凭据的钱按等了多久排。"), "closing.unallocated_pools"),
        Step(N_("看操作日志"), N_("谁在什么时候做了什么，谁也删不掉。"), "identity.trail"),
    ),
    Role.SUPERVISOR: (
        _DESK,
        Step(N_("看预留份额排名"), N_("申报、完成和差额都从订单算出来。"), "quota_reports.ranking"),
        Step(
            N_("打开一个单位"),
            N_("在排名里点单位的名字，看它买了谁的货。"),
            "quota_reports.ranking",
        ),
    ),
    Role.OPERATOR: (
        Step(N_("开账号"), N_("给每个单位的人开账号，临时密码只显示一次。"), "users.index"),
        Step(N_("导入银行流水"), N_("有汇款码的自动认款，其余逐笔核对。"), "payments.statements"),
        Step(N_("看审核步骤"), N_("每种申请过几道审核、每道由谁办。"), "review_steps.index"),
    ),
}
