"""Why a try to pay did not succeed, in words that say what to do next."""

from __future__ import annotations

from marketplace.core.labels import N_

NOT_CONFIRMED = N_("验证没有完成，没有扣款。请重新付款并在银行或钱包的页面上确认，或换一种付款方式。")
OTHER_CARD = N_("发卡行没有同意这笔付款，没有扣款。请换一张卡，或换一种付款方式。")
OTHERWISE = N_("付款没有成功，没有扣款。请再试一次，或换一种付款方式。")
FAILURES = {
    "generic_decline": OTHER_CARD,
    "card_declined": OTHER_CARD,
    "do_not_honor": OTHER_CARD,
    "insufficient_funds": N_("卡内余额不足，没有扣款。请换一张卡，或换一种付款方式。"),
    "expired_card": N_("这张卡已过期，没有扣款。请换一张卡，或换一种付款方式。"),
    "incorrect_cvc": N_("安全码不正确，没有扣款。请核对后再试。"),
    "processing_error": N_("处理时出错，没有扣款。请稍后再试，或换一种付款方式。"),
    "authentication_required": NOT_CONFIRMED,
    "payment_intent_authentication_failure": NOT_CONFIRMED,
}


def failure_words(code: str) -> str:
    """What to tell the buyer about a failed try; the message to be translated."""
    return FAILURES.get(code, OTHERWISE)
