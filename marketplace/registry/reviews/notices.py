"""What a public notice says, and the check that it names nobody.

A county of Jiangxi once published some ten thousand rows with full ID numbers in such a notice. So the text is made
from the facts of the organisation alone, and a text that looks as if it held an ID or a mobile number is refused.
Pure: leaves the dates and the case to `rules`.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from marketplace.core.errors import Refused
from marketplace.core.labels import N_

MAX_REASON = 300
_SPACING = re.compile(r"(?<=[0-9Xx])[\s\u200b\ufeff._·*-]+(?=[0-9Xx])")
_RESIDENT_ID = re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_MOBILE = re.compile(r"(?<![0-9])(?:(?:00)?86)?1[3-9][0-9]{9}(?![0-9])")


def has_personal_number(text: str) -> bool:
    """Whether `text` holds what looks like an 18-digit resident ID or an 11-digit mobile number.

    Full-width digits count, and so do numbers broken by spaces, dots or hyphens.
    """
    joined = _SPACING.sub("", unicodedata.normalize("NFKC", text))
    return bool(_RESIDENT_ID.search(joined) or _MOBILE.search(joined))


def refuse_personal_numbers(text: str, *, field: str | None = None) -> None:
    """Raise Refused when `text`, which is for the public, holds a personal number. Says not which: pages are kept."""
    if has_personal_number(text):
        raise Refused(
            "personal_number_in_public_text",
            N_("公开的内容里有疑似身份证号或手机号的数字，请删去或退回补正后再提交"),
            field=field,
        )


def public_reason(reason: str) -> str:
    """A reason that the public may read, without space around it. Raises Refused, at field `reason`, when it is
    missing, too long or holds a personal number."""
    text = reason.strip()
    if not 1 <= len(text) <= MAX_REASON:
        raise Refused("reason_missing", N_("请写明原因，最多 %(most)s 个字"), field="reason", most=MAX_REASON)
    refuse_personal_numbers(text, field="reason")
    return text


def notice_text(
    *,
    title: str,
    kind_label: str,
    organisation: str,
    place: str,
    first_on: date,
    last_on: date,
    passed: tuple[str, ...],
) -> str:
    """The text of a notice, in Chinese as the law has it. Raises Refused when it holds a personal number.

    `passed` are the names of the steps the case has passed; `first_on` and `last_on` are the days of the notice, both
    inclusive.
    """
    about = "" if title == organisation else f"：{title}"
    steps = f"经{'、'.join(passed)}，" if passed else ""
    text = (
        f"{organisation}（{place}）申请{kind_label}{about}。{steps}现予公示。\n"
        f"公示期自{_chinese(first_on)}起至{_chinese(last_on)}止。公示期内，任何单位和个人有异议的，"
        f"可在本页提出，并请写明事实和理由。我们对提出异议的人保密。"
    )
    refuse_personal_numbers(text)
    return text


def _chinese(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"
