"""Numbers that name people, households, cooperatives and places: are they well formed, and which are for tests.

Pure: no database, no clock. Whether a number is already taken, or belongs to the person who shows it, is for the
rules. Messages never repeat the number: a resident ID is personal data and findings are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from stdnum.cn import uscc
from stdnum.exceptions import InvalidChecksum, InvalidFormat, InvalidLength

from marketplace.core.errors import Refused
from marketplace.core.labels import N_

COOPERATIVE_PREFIX = "93"
OLDEST_BIRTH_YEAR = 1900
TEST_SEQUENCES = 100
TEST_ORGANISATIONS = 100_000
REGION_DIGITS = (2, 4, 6, 9, 12)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_SPACING = re.compile(r"[\s\u200b\ufeff-]+")


@dataclass(frozen=True)
class ResidentId:
    """What an 18-digit resident ID says: the number itself, where it was first issued, birthday, sex digit."""

    number: str
    region_code: str
    born_on: date
    is_male: bool


def _ascii_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _compact(text: str) -> str:
    """`text` without spacing and hyphens, full-width characters narrowed, letters in upper case."""
    narrowed = (
        text if text.isascii() else "".join(chr(ord(c) - 0xFEE0) if "！" <= c <= "～" else c for c in text)
    )  # full-width to ASCII
    return _SPACING.sub("", narrowed).upper()


def parse_resident_id(text: str, *, on: date | None = None) -> ResidentId:
    """Read an 18-digit resident ID (GB 11643): digits, a real birth date, the mod 11-2 check character.

    The region is not compared with a table: a table of "codes valid in the birth year" rejects real people, since
    numbers are given at registration. `on` is the business day after which no birthday may lie.
    Raises Refused: resident_id_length, _characters, _birthday or _check.
    """
    number = _compact(text)
    if len(number) != 18:
        raise Refused(
            "resident_id_length", N_("身份证号应为 18 位，现在是 %(count)s 位，请核对"), count=len(number)
        )
    if not _ascii_digits(number[:17]) or number[17] not in _ID_CHECKS or number[0] == "0":
        raise Refused("resident_id_characters", N_("身份证号前 17 位应为数字，最后一位为数字或 X，请核对"))
    born_on = _birthday(number[6:14], on)
    if resident_id_check(number[:17]) != number[17]:
        raise Refused("resident_id_check", N_("身份证号的校验位不对，多半是抄错了一位，请对照证件重填"))
    return ResidentId(number, number[:6], born_on, int(number[16]) % 2 == 1)


def _birthday(digits: str, on: date | None) -> date:
    refusal = Refused("resident_id_birthday", N_("身份证号第 7 至 14 位不是真实的出生日期，请核对"))
    try:
        born_on = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        raise refusal from None
    if born_on.year < OLDEST_BIRTH_YEAR or (on is not None and born_on > on):
        raise refusal
    return born_on


def resident_id_check(body: str) -> str:
    """The check character of the 17 digits `body` (GB 11643, ISO 7064 mod 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(body, _ID_WEIGHTS, strict=True))
    return _ID_CHECKS[total % 11]


def make_resident_id(region_code: str, born_on: date, sequence: int) -> str:
    """A resident ID for a generated person: valid in form only. `sequence` is 0..99.

    The order code (digits 15-17) counts down from 999. 996-999 were set aside for people over a hundred years old,
    so no person of working age holds the first four; a county needs more than four only for the same birthday.
    """
    if not 0 <= sequence < TEST_SEQUENCES:
        raise ValueError("the sequence of a generated person is 0..99")
    if len(region_code) != 6 or not _ascii_digits(region_code):
        raise ValueError("a county has a code of 6 digits")
    body = f"{region_code}{born_on:%Y%m%d}{999 - sequence}"
    return body + resident_id_check(body)


def check_uscc(text: str) -> str:
    """The unified social credit code in `text`, compact and in upper case (GB 32100, mod 31).

    Raises Refused: uscc_length, uscc_characters or uscc_check.
    """
    number = _compact(text)
    try:
        return str(uscc.validate(number))
    except InvalidLength:
        raise Refused(
            "uscc_length", N_("统一社会信用代码应为 18 位，现在是 %(count)s 位，请核对"), count=len(number)
        ) from None
    except InvalidFormat:
        raise Refused(
            "uscc_characters",
            N_("统一社会信用代码前 8 位应为数字，其余为数字或大写字母（不含 I、O、S、V、Z），请核对"),
        ) from None
    except InvalidChecksum:
        raise Refused(
            "uscc_check", N_("统一社会信用代码的校验位不对，多半是抄错了一位，请对照执照重填")
        ) from None


def check_cooperative_uscc(text: str) -> str:
    """As check_uscc, and of a farmers' cooperative: it begins with 93. Raises Refused, also uscc_not_cooperative."""
    number = check_uscc(text)
    if not number.startswith(COOPERATIVE_PREFIX):
        raise Refused(
            "uscc_not_cooperative",
            N_("农民专业合作社的统一社会信用代码以 93 开头，请填写合作社自己的代码，不要填公司或个体户的"),
        )
    return number


def make_uscc(region_code: str, serial: int, *, prefix: str = COOPERATIVE_PREFIX) -> str:
    """A credit code for a generated organisation, valid in form only. `serial` is 0..99999.

    `prefix` is 93 for a cooperative, 11 for an office, 12 for a school or hospital, 91 for a company. The inner
    organisation code begins with DEM and keeps its own check character (GB 11714).
    """
    if not 0 <= serial < TEST_ORGANISATIONS:
        raise ValueError("the serial of a generated organisation is 0..99999")
    inner = f"DEM{serial:05d}"
    total = sum(int(c, 36) * weight for c, weight in zip(inner, _ORGANISATION_WEIGHTS, strict=True))
    body = f"{prefix}{region_code}{inner}{'0X987654321'[total % 11]}"
    return body + str(uscc.calc_check_digit(body))


def check_household_no(text: str) -> str:
    """The register number of a household: 10 digits. Raises Refused household_no_form."""
    number = _compact(text)
    if len(number) != 10 or not _ascii_digits(number):
        raise Refused("household_no_form", N_("户编号应为 10 位数字，请核对（前面的 0 不能省）"))
    return number


def check_person_no(text: str) -> str:
    """The register number of a person: 12 digits. Raises Refused person_no_form."""
    number = _compact(text)
    if len(number) != 12 or not _ascii_digits(number):
        raise Refused("person_no_form", N_("人员编号应为 12 位数字，请核对（前面的 0 不能省）"))
    return number


def check_mobile(text: str) -> str:
    """A mainland mobile number as 11 digits; +86 and spaces are taken off. Raises Refused mobile_form."""
    number = _compact(text)
    for country in ("+86", "0086", "86"):
        if number.startswith(country) and len(number) == 11 + len(country):
            number = number.removeprefix(country)
    if not _MOBILE.fullmatch(number):
        raise Refused("mobile_form", N_("手机号应为 11 位数字，以 13 至 19 开头，请核对"))
    return number


def check_region_code(text: str) -> str:
    """A GB/T 2260 code in Jiangxi, province to village: 2, 4, 6, 9 or 12 digits. Raises Refused region_code_form."""
    number = _compact(text)
    if len(number) not in REGION_DIGITS or not _ascii_digits(number) or not number.startswith("36"):
        raise Refused(
            "region_code_form", N_("行政区划代码应以 36 开头，县为 6 位、乡镇为 9 位、村为 12 位数字，请核对")
        )
    return number
