"""Numbers printed on goods: Green Food products and enterprises, and the EAN-13 "69 code".

Pure: whether a certificate is valid, expired or somebody else's is for the catalogue's rules and its reviewers.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date

from marketplace.core.errors import Refused
from marketplace.core.labels import N_

JIANGXI_PROVINCE_NOS = ("14", "36")
_SPACING = re.compile(r"[\s\u200b\ufeff]+")
_DASHES = re.compile(r"[‐‑‒–—―−]")
_PRODUCT = re.compile(r"LB-?(\d{2})-?(\d*)([A-Z]*)", re.ASCII)


@dataclass(frozen=True)
class GreenFoodProduct:
    """A Green Food product number `LB-dd-YYMMPPssss[s]A`: product class, month of approval, province, serial, grade.

    The province is numbered in the order of provinces (Jiangxi is 14); numbers with the GB/T 2260 code (36) are met
    as well, so a reviewer is shown `is_jiangxi` instead of a refusal.
    """

    number: str
    product_class: str
    approved_year: int
    approved_month: int
    province_no: str
    serial: str
    grade: str

    @property
    def is_jiangxi(self) -> bool:
        """Whether the number was given to a product of Jiangxi."""
        return self.province_no in JIANGXI_PROVINCE_NOS

    def is_approved_by(self, day: date) -> bool:
        """Whether the month of approval in the number has begun on `day`."""
        return (self.approved_year, self.approved_month) <= (day.year, day.month)


@dataclass(frozen=True)
class GreenFoodEnterprise:
    """A Green Food enterprise number `GF` + county (6 digits) + year (2) + serial of that year (4)."""

    number: str
    county_code: str
    first_year: int
    serial: str


def compact(text: str) -> str:
    """The text narrowed, without spaces, its dashes plain, in capitals."""
    narrowed = unicodedata.normalize("NFKC", text)
    return _DASHES.sub("-", _SPACING.sub("", narrowed)).upper()


def parse_green_food_product(text: str) -> GreenFoodProduct:
    """Read a Green Food product number: `LB-dd-` + 10 or 11 digits (YY MM PP serial) + `A` or `AA`.

    Green Food rules of 2009. The missing hyphens of a scanned number are put back.
    Raises Refused: green_food_form, _digits, _grade, _class, _month, _province or _serial.
    """
    match = _PRODUCT.fullmatch(compact(text))
    if not match:
        raise Refused(
            "green_food_form",
            N_("绿色食品产品编号的写法是 LB-两位类别-10 或 11 位数字加 A 或 AA，例如 LB-18-2503140123A"),
        )
    product_class, digits, grade = match.groups()
    if len(digits) not in {10, 11}:
        raise Refused(
            "green_food_digits",
            N_("绿色食品产品编号中间应为 10 或 11 位数字，现在是 %(count)s 位，请对照证书"),
            count=len(digits),
        )
    if grade not in {"A", "AA"}:
        raise Refused("green_food_grade", N_("绿色食品产品编号应以等级 A 或 AA 结尾，请对照证书"))
    year, month, province, serial = digits[:2], digits[2:4], digits[4:6], digits[6:]
    if product_class == "00":
        raise Refused("green_food_class", N_("绿色食品产品编号里的产品类别不能是 00，请对照证书"))
    if not 1 <= int(month) <= 12:
        raise Refused(
            "green_food_month",
            N_("绿色食品产品编号里的月份是 %(month)s，应为 01 至 12，请对照证书"),
            month=month,
        )
    if province == "00":
        raise Refused("green_food_province", N_("绿色食品产品编号里的省份不能是 00，江西为 14，请对照证书"))
    if not int(serial):
        raise Refused("green_food_serial", N_("绿色食品产品编号里的序号不能全是 0，请对照证书"))
    number = f"LB-{product_class}-{digits}{grade}"
    return GreenFoodProduct(number, product_class, 2000 + int(year), int(month), province, serial, grade)


def parse_green_food_enterprise(text: str) -> GreenFoodEnterprise:
    """Read a Green Food enterprise number: `GF` + 12 digits (county 6, year 2, serial 4).

    Raises Refused: green_food_enterprise_form or green_food_enterprise_serial.
    """
    number = compact(text).replace("-", "")
    if not re.fullmatch(r"GF[1-9]\d{11}", number, re.ASCII):
        raise Refused(
            "green_food_enterprise_form",
            N_("绿色食品企业信息码应为 GF 加 12 位数字（县代码 6 位、年份 2 位、序号 4 位），请对照证书"),
        )
    if number.endswith("0000"):
        raise Refused("green_food_enterprise_serial", N_("绿色食品企业信息码的序号不能是 0000，请对照证书"))
    return GreenFoodEnterprise(number, number[2:8], 2000 + int(number[8:10]), number[10:])


def make_green_food_product(
    approved_on: date, serial: int, *, product_class: str = "18", grade: str = "A"
) -> str:
    """The product number of a generated certificate of Jiangxi; `serial` is 1..9999."""
    if not 1 <= serial <= 9999:
        raise ValueError("the serial of a generated certificate is 1..9999")
    return f"LB-{product_class}-{approved_on:%y%m}14{serial:04d}{grade}"


def make_green_food_enterprise(county_code: str, first_year: int, serial: int) -> str:
    """The enterprise number of a generated cooperative of a county (6 digits); `serial` is 1..9999."""
    if not 1 <= serial <= 9999:
        raise ValueError("the serial of a generated enterprise is 1..9999")
    return f"GF{county_code}{first_year % 100:02d}{serial:04d}"


def ean13_check(body: str) -> str:
    """The check digit of the 12 digits `body` (GB 12904, mod 10)."""
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return str(-total % 10)


def check_ean13(text: str) -> str:
    """The 13-digit bar code number in `text`, compact. Raises Refused: ean13_form or ean13_check."""
    number = compact(text).replace("-", "")
    if not re.fullmatch(r"\d{13}", number, re.ASCII):
        raise Refused("ean13_form", N_("商品条码应为 13 位数字，请对照包装"))
    if ean13_check(number[:12]) != number[12]:
        raise Refused("ean13_check", N_("商品条码的校验位不对，多半是抄错了一位，请对照包装重填"))
    return number


def make_ean13(maker: int, item: int) -> str:
    """A generated bar code number: 690, maker 0..9999, item 0..99999, check digit."""
    if not (0 <= maker <= 9999 and 0 <= item <= 99_999):
        raise ValueError("the maker is 0..9999 and the item 0..99999")
    body = f"690{maker:04d}{item:05d}"
    return body + ean13_check(body)
