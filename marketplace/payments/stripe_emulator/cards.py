"""The well-known test numbers, and what each of them does (docs.stripe.com/testing).

Any other number is refused, as Stripe refuses real cards in test mode; no number is ever kept, only its last
four.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from marketplace.payments.stripe_emulator.faults import Json, invalid


class Outcome(StrEnum):
    """What happens when a means of payment is charged."""

    PAYS = "pays"
    DECLINES = "declines"
    ASKS = "asks"  # the payer must confirm at the bank, or in the wallet


@dataclass(frozen=True, slots=True)
class KnownCard:
    """One number. `code` is Stripe's error code, also the key of the message shown; `token` its name in API calls."""

    number: str
    token: str
    outcome: Outcome = Outcome.PAYS
    brand: str = "visa"
    code: str = ""
    decline_code: str = ""
    message: str = ""


CARDS = (
    KnownCard("4242424242424242", "pm_card_visa"),
    KnownCard("5555555555554444", "pm_card_mastercard", brand="mastercard"),
    KnownCard("6200000000000005", "pm_card_unionpay", brand="unionpay"),
    KnownCard("4000002500003155", "pm_card_authenticationRequired", Outcome.ASKS),
    KnownCard("4000000000003220", "pm_card_threeDSecure2Required", Outcome.ASKS),
    KnownCard(
        "4000000000000002",
        "pm_card_visa_chargeDeclined",
        Outcome.DECLINES,
        code="card_declined",
        decline_code="generic_decline",
        message="Your card was declined.",
    ),
    KnownCard(
        "4000000000009995",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        Outcome.DECLINES,
        code="card_declined",
        decline_code="insufficient_funds",
        message="Your card has insufficient funds.",
    ),
    KnownCard(
        "4000000000000069",
        "pm_card_chargeDeclinedExpiredCard",
        Outcome.DECLINES,
        code="expired_card",
        decline_code="expired_card",
        message="Your card has expired.",
    ),
    KnownCard(
        "4000000000000127",
        "pm_card_chargeDeclinedIncorrectCvc",
        Outcome.DECLINES,
        code="incorrect_cvc",
        decline_code="incorrect_cvc",
        message="Your card's security code is incorrect.",
    ),
    KnownCard(
        "4000000000000119",
        "pm_card_chargeDeclinedProcessingError",
        Outcome.DECLINES,
        code="processing_error",
        decline_code="processing_error",
        message="An error occurred while processing your card. Try again in a little bit.",
    ),
)
BY_NUMBER = {card.number: card for card in CARDS}
BY_TOKEN = {card.token: card for card in CARDS}
WALLETS = ("alipay", "wechat_pay")
METHODS = ("card", *WALLETS)


@dataclass(frozen=True, slots=True)
class Means:
    """What the payer pays with: a card, or a wallet (`card` is None) that always asks."""

    kind: str
    card: KnownCard | None = None
    exp_month: int = 12
    exp_year: int = 2034

    @property
    def outcome(self) -> Outcome:
        """What charging it leads to."""
        return self.card.outcome if self.card else Outcome.ASKS

    def details(self) -> Json:
        """The `payment_method_details` of a charge."""
        if self.card is None:
            return {"type": self.kind, self.kind: {}}
        shown = {
            "brand": self.card.brand,
            "country": "CN" if self.card.brand == "unionpay" else "US",
            "exp_month": self.exp_month,
            "exp_year": self.exp_year,
            "funding": "credit",
            "last4": self.card.number[-4:],
        }
        return {"type": "card", "card": shown}


def means_of(payment_method: str, allowed: list[str]) -> Means:
    """The means named in an API call: a test card's token, or the type of a wallet. Raises StripeFault."""
    card = BY_TOKEN.get(payment_method)
    kind = "card" if card else payment_method
    if card is None and payment_method not in WALLETS:
        raise invalid(
            f"No such PaymentMethod: '{payment_method}'", param="payment_method", code="resource_missing"
        )
    if kind not in allowed:
        raise invalid(f"The payment method type {kind} is not allowed here.", param="payment_method")
    return Means(kind, card)
