"""Why a try to pay did not succeed, in words that say what to do next."""

from __future__ import annotations

from marketplace.core.labels import N_

NOT_CONFIRMED = N_("验证没有完成，没有扣款。请重新付款并在银行或钱包的页面上确认，或换一种付款方式。")
OTHER_CARD = N_("发卡行没有同意这笔付款，没有扣款。请换一张卡，或换一种付款方式。")
OTHERWISE = N_("付款没有成功，没有扣款。请再试一次，或换一种付款方式。")
TRY_LATER = N_("发卡行暂时没有回应，没有扣款。请稍后再试，或换一种付款方式。")
NOT_SUPPORTED = N_("这张卡不支持这类付款，没有扣款。请换一张卡，或换一种付款方式。")
WRONG_NUMBER = N_("卡号或有效期不正确，没有扣款。请核对后再试。")
OVER_LIMIT = N_("超过了这张卡的限额，没有扣款。请换一张卡，或换一种付款方式。")
FAILURES = {
    "generic_decline": OTHER_CARD,
    "card_declined": OTHER_CARD,
    "do_not_honor": OTHER_CARD,
    "insufficient_funds": N_("卡内余额不足，没有扣款。请换一张卡，或换一种付款方式。"),
    "expired_card": N_("这张卡已过期，没有扣款。请换一张卡，或换一种付款方式。"),
    "incorrect_cvc": N_("安全码不正确，没有扣款。请核对后再试。"),
    "invalid_cvc": N_("安全码不正确，没有扣款。请核对后再试。"),
    "incorrect_number": WRONG_NUMBER,
    "invalid_number": WRONG_NUMBER,
    "invalid_expiry_month": WRONG_NUMBER,
    "invalid_expiry_year": WRONG_NUMBER,
    "card_velocity_exceeded": OVER_LIMIT,
    "withdrawal_count_limit_exceeded": OVER_LIMIT,
    "card_not_supported": NOT_SUPPORTED,
    "currency_not_supported": NOT_SUPPORTED,
    "issuer_not_available": TRY_LATER,
    "try_again_later": TRY_LATER,
    "transaction_not_allowed": OTHER_CARD,  # what follows says no more, so that no thief learns why
    "restricted_card": OTHER_CARD,
    "pickup_card": OTHER_CARD,
    "lost_card": OTHER_CARD,
    "stolen_card": OTHER_CARD,
    "fraudulent": OTHER_CARD,
    "processing_error": N_("处理时出错，没有扣款。请稍后再试，或换一种付款方式。"),
    "authentication_required": NOT_CONFIRMED,
    "payment_intent_authentication_failure": NOT_CONFIRMED,
}


def failure_words(code: str) -> str:
    """What to tell the buyer about a failed try; the message to be translated."""
    return FAILURES.get(code, OTHERWISE)
