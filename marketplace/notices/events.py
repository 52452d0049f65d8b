"""Who is told of which row of the trail, in which words, and where the link leads: a table, a line an audience."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from marketplace.core.labels import N_
from marketplace.identity.permissions import Permission
from marketplace.notices.models import NoticeCategory


class Audience(Enum):
    """Whose inbox: the person behind a personal order, or those of an organisation who have a duty."""

    BUYER = auto()
    COOPERATIVE = auto()
    UNIT = auto()


class Link(Enum):
    """The page a message leads to, by what its number names: its endpoint and the name of its parameter."""

    ORDER = ("ordering.order", "order_no")
    PART = ("ordering.part", "part_no")
    REFUND = ("refunds.refund", "refund_no")
    REVIEW = ("reviews.case", "case_no")
    CERTIFICATE = ("certificates.certificate", "certificate_no")
    RECOGNITION = ("recognition.recognition", "recognition_no")
    STORY = ("stories.edit", "story_no")
    ACCOUNT = ("receiving_account.own", "account")


@dataclass(frozen=True)
class Event:
    """One audience of one action: `title` is a Chinese source string that may name %(no)s.

    What asks for an approval is told while the order waits for one: some are approved in the moment they are placed.
    """

    action: str
    audience: Audience
    category: NoticeCategory
    title: str
    link: Link
    duty: Permission | None = None
    asks_approval: bool = False

    @property
    def name(self) -> str:
        """What a message keeps, so that its words can be found again."""
        return f"{self.action}:{self.audience.name.lower()}"


A, L, P, C = Audience, Link, Permission, NoticeCategory
EVENTS: tuple[Event, ...] = (
    Event("ordering.place", A.UNIT, C.ORDERS, N_("采购单 %(no)s 待审批"), L.ORDER, P.APPROVE_ORDERS, True),
    Event("ordering.reject", A.UNIT, C.ORDERS, N_("采购单 %(no)s 未获批准"), L.ORDER, P.ORDER_FOR_UNIT),
    Event("ordering.approve", A.COOPERATIVE, C.ORDERS, N_("新订单 %(no)s 待确认"), L.PART, P.FULFIL_ORDERS),
    Event("ordering.pass_on", A.COOPERATIVE, C.ORDERS, N_("新订单 %(no)s 待确认"), L.PART, P.FULFIL_ORDERS),
    Event("ordering.pay", A.COOPERATIVE, C.ORDERS, N_("新订单 %(no)s 已付款，待确认"), L.PART, P.FULFIL_ORDERS),
    Event("ordering.confirm", A.BUYER, C.ORDERS, N_("订单 %(no)s 合作社已确认，正在备货"), L.ORDER),
    Event("ordering.confirm", A.UNIT, C.ORDERS, N_("订单 %(no)s 合作社已确认，正在备货"), L.ORDER, P.ORDER_FOR_UNIT),
    Event("ordering.decline", A.BUYER, C.ORDERS, N_("订单 %(no)s 合作社无法供货"), L.ORDER),
    Event("ordering.decline", A.UNIT, C.ORDERS, N_("订单 %(no)s 合作社无法供货"), L.ORDER, P.ORDER_FOR_UNIT),
    Event("ordering.ship", A.BUYER, C.ORDERS, N_("订单 %(no)s 已发货"), L.ORDER),
    Event("ordering.ship", A.UNIT, C.ORDERS, N_("订单 %(no)s 已发货，请准备收货"), L.ORDER, P.RECEIVE_FOR_UNIT),
    Event("ordering.reject_goods", A.COOPERATIVE, C.ORDERS, N_("订单 %(no)s 有商品被拒收，请处理"), L.PART,
          P.FULFIL_ORDERS),
    Event("ordering.accept", A.COOPERATIVE, C.ORDERS, N_("订单 %(no)s 已验收"), L.PART, P.FULFIL_ORDERS),
    Event("ordering.expire", A.BUYER, C.MONEY, N_("订单 %(no)s 超时未付款，已取消"), L.ORDER),
    Event("payments.received", A.BUYER, C.MONEY, N_("订单 %(no)s 付款已到账"), L.ORDER),
    Event("payments.received", A.UNIT, C.MONEY, N_("订单 %(no)s 货款已到账"), L.ORDER, P.PAY_FOR_UNIT),
    *(
        Event(f"payments.part_dispute_{step}", A.COOPERATIVE, C.MONEY, title, L.PART, P.FULFIL_ORDERS)
        for step, title in (
            ("opened", N_("订单 %(no)s 的买方向银行提出付款争议，没发货的先不要发")),
            ("won", N_("订单 %(no)s 的付款争议已胜诉，照常办理")),
            ("lost", N_("订单 %(no)s 的付款争议已败诉，请看损失由谁承担")),
        )
    ),
    Event("payments.ask_refund", A.COOPERATIVE, C.MONEY, N_("退款申请 %(no)s 待处理"), L.REFUND, P.FULFIL_ORDERS),
    *(
        Event(action, audience, C.MONEY, title, L.REFUND, duty)
        for action, title in (
            ("payments.agree_refund", N_("退款 %(no)s 合作社已同意")),
            ("payments.decline_refund", N_("退款 %(no)s 合作社未同意")),
            ("payments.refund_returned", N_("退款 %(no)s 已退回")),
            ("payments.refund_failed", N_("退款 %(no)s 没有退成，将由人工转回")),
        )
        for audience, duty in ((A.BUYER, None), (A.UNIT, P.ORDER_FOR_UNIT))
    ),
    *(
        Event(action, A.COOPERATIVE, C.REVIEWS, title, link, P.MANAGE_LISTINGS)
        for action, title, link in (
            ("catalog.suspended_certificate", N_("证书 %(no)s 被暂停使用"), L.CERTIFICATE),
            ("catalog.lifted_certificate", N_("证书 %(no)s 恢复使用"), L.CERTIFICATE),
            ("catalog.revoked_certificate", N_("证书 %(no)s 被撤销"), L.CERTIFICATE),
            ("catalog.decide_waiver", N_("证书 %(no)s 的费用减免已有决定"), L.CERTIFICATE),
            ("catalog.end_recognition", N_("扶贫产品认定 %(no)s 已结束"), L.RECOGNITION),
            ("catalog.remove_story", N_("故事 %(no)s 被县里撤下，请看原因"), L.STORY),
        )
    ),
    *(
        Event(action, A.COOPERATIVE, C.MONEY, title, L.ACCOUNT, P.MANAGE_COOPERATIVE)
        for action, title in (
            ("payments.account_details_wanted", N_("收款账户 %(no)s 要补充资料")),
            ("payments.account_ready", N_("收款账户 %(no)s 可以收款")),
            ("payments.account_restricted", N_("收款账户 %(no)s 被支付通道限制")),
        )
    ),
    Event("reviews.decide", A.COOPERATIVE, C.REVIEWS, N_("审核 %(no)s 有新的进展"), L.REVIEW, P.MANAGE_LISTINGS),
)  # fmt: skip
BY_NAME = {event.name: event for event in EVENTS}
ACTIONS = frozenset(event.action for event in EVENTS)
