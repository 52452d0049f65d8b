"""What a payment channel can do, whichever firm stands behind it.

A gateway carries requests to the provider and reads its answers; it keeps nothing. Which order is paid, what
is posted and what a person has to look into are decided by the rules, which store `provider_ref` and
`payment_ref` and hand them back. Amounts are fen of CNY, instants are aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from marketplace.core.errors import DomainError
from marketplace.core.labels import N_, LabelledEnum
from marketplace.payments.gateways.balance import BalanceMove
from marketplace.payments.gateways.disputes import DisputeTold


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """One payment of one order, to be opened at the provider.

    `reference` is our public number of the payment and comes back in every event. `idempotency_key` belongs
    to this very request: store it, and all the other fields, before the first call, so that a retry sends the
    same again. `success_url` may hold `{CHECKOUT_SESSION_ID}`. Stripe takes an `expires_at` of 30 minutes to
    24 hours ahead. `method` is what the payer chose; None lets the provider's page ask.
    """

    reference: str
    amount_fen: int
    description: str
    success_url: str
    cancel_url: str
    idempotency_key: str
    expires_at: datetime
    locale: str = "zh_CN"
    method: OnlineMethod | None = None


@dataclass(frozen=True, slots=True)
class CheckoutOpened:
    """Where to send the payer, and until when. The same request with the same key gives the same answer.

    `qr_text` is set where the payer scans instead: what the picture says. `redirect_url` then is a page that shows it.
    """

    provider_ref: str
    redirect_url: str
    expires_at: datetime
    qr_text: str = ""


class OnlineMethod(LabelledEnum):
    """What a buyer pays with on line. A card is typed on the provider's page; a wallet asks on its own."""

    CARD = "card", N_("银行卡")
    ALIPAY = "alipay", N_("支付宝")
    WECHAT_PAY = "wechat_pay", N_("微信支付")


class PaymentState(StrEnum):
    """Where a checkout stands at the provider."""

    OPEN = "open"
    PROCESSING = "processing"
    PAID = "paid"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class PaymentFound:
    """What the provider says about one checkout now. `payment_ref` is set once somebody tried to pay.

    `failure` is the provider's code of the last attempt when it did not succeed.
    """

    state: PaymentState
    reference: str
    provider_ref: str
    amount_fen: int
    refunded_fen: int = 0
    payment_ref: str | None = None
    paid_at: datetime | None = None
    expires_at: datetime | None = None
    failure: str = ""


class RefundState(StrEnum):
    """How far the provider is with a refund."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RefundMade:
    """A refund the provider took on."""

    refund_ref: str
    payment_ref: str
    amount_fen: int
    state: RefundState


class EventKind(LabelledEnum):
    """What a provider's message means to us. FAILED is one attempt: the payer may still try again."""

    PAID = "paid", N_("付款成功")
    EXPIRED = "expired", N_("付款页面过期")
    FAILED = "failed", N_("付款没有成功")
    REFUNDED = "refunded", N_("退款")
    DISPUTED = "disputed", N_("付款争议")
    ACCOUNT = "account", N_("合作社收款账户有变化")
    TRANSFERRED = "transferred", N_("划付合作社")
    TRANSFER_REVERSED = "transfer_reversed", N_("划付被收回")
    OTHER = "other", N_("其他通知")


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """One verified message. Providers repeat and reorder: act once per `event_id`, on facts, not on sequence.

    `provider_ref` is the checkout (PAID, EXPIRED), `payment_ref` the payment behind it (PAID, FAILED, REFUNDED).
    `failure` is the provider's code of a FAILED attempt. `reference` is empty when the provider names none of ours.
    `amount_fen` is what the kind speaks of; for REFUNDED and TRANSFER_REVERSED it is all that has gone back so far, so
    that the larger of two such events is the later one. `provider_ref` is the account (ACCOUNT) or the transfer.
    """

    event_id: str
    kind: EventKind
    reference: str
    amount_fen: int
    occurred_at: datetime
    raw_type: str
    provider_ref: str | None = None
    payment_ref: str | None = None
    currency: str = "cny"
    failure: str = ""


class GatewayError(DomainError):
    """The channel did not do it. `detail` is the provider's own wording, for the log and not for the page."""

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(code, message)
        self.detail = detail


class GatewayUnavailable(GatewayError):
    """No answer, or a 5xx: it may or may not have happened. Call again with the same idempotency key."""

    status = 503

    def __init__(self, detail: str = "") -> None:
        message = N_("付款通道暂时没有回应，请稍后再试；同一笔付款不会重复扣款")
        super().__init__("gateway_unavailable", message, detail)


class GatewayRefused(GatewayError):
    """A clear no: repeating the same request will not help. `code` is the provider's."""

    def __init__(self, code: str, detail: str = "", message: str = "") -> None:
        super().__init__(
            code, message or N_("付款通道没有接受这次请求，请返回订单核对后重试，或改用其他付款方式"), detail
        )


class BadSignature(GatewayError):
    """The message is not from the provider, was altered, or is too old. Nothing in it may be used."""

    status = 400

    def __init__(self, detail: str = "") -> None:
        super().__init__("bad_signature", N_("签名不正确，消息未被接受"), detail)


class PaymentGateway(Protocol):
    """A channel. Every call may raise GatewayUnavailable or GatewayRefused."""

    @property
    def name(self) -> str:
        """The channel's code, kept with every payment ("stripe", "bank_transfer")."""

    @property
    def methods(self) -> tuple[OnlineMethod, ...]:
        """What a buyer may choose from on line; empty for a channel without pages."""

    def open_checkout(self, request: CheckoutRequest) -> CheckoutOpened:
        """Open a page where the payer pays."""

    def find_payment(self, provider_ref: str) -> PaymentFound:
        """Ask where a checkout stands: for the return page, and for recovery when no message came."""

    def close_checkout(self, provider_ref: str) -> PaymentFound:
        """End a checkout that was not paid, so that it cannot be paid any more; one that was paid says so."""

    def refund(self, payment_ref: str, amount_fen: int, idempotency_key: str) -> RefundMade:
        """Give back `amount_fen` of a payment; never more than was paid and not yet given back."""

    def answer_dispute(self, ref: str, text: str, key: str) -> DisputeTold:
        """Send evidence on a dispute, under an idempotency key."""

    def accept_dispute(self, ref: str, key: str) -> DisputeTold:
        """Accept that a dispute is lost, under an idempotency key."""

    def balance_moves(self, since: datetime, until: datetime) -> list[BalanceMove]:
        """Everything that moved money at the provider from `since` up to and without `until`, the oldest first."""

    def read_event(self, payload: bytes, signature: str) -> GatewayEvent:
        """Verify and read one message from the provider. Raises BadSignature."""

    def reread_event(self, payload: bytes) -> GatewayEvent:
        """Read a message again that was verified when it was stored. Raises BadSignature when it is none."""
