"""What each kind of certificate is: how its numbers are read, how long it may run, what it means to a buyer.

A table of facts, pure. Terms: Green Food three years, organic one year, a geographical indication of a farm product by
yearly agreement (domain.md, section 3); the longest terms of the others are our own bounds against slips of the pen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from marketplace.catalog.certificates.numbers import parse_green_food_enterprise, parse_green_food_product
from marketplace.catalog.certificates.other_numbers import (
    parse_forest,
    parse_gi_farm,
    parse_gi_mark,
    parse_gi_notice,
    parse_organic,
    parse_organic_mark,
)
from marketplace.catalog.models import CertificateKind
from marketplace.core.errors import Refused
from marketplace.core.labels import N_

Number = TypeVar("Number")
YEAR_DAYS = 366


@dataclass(frozen=True)
class Numbers:
    """The numbers of a certificate as they are kept: its own, and the second one of its kind or nothing."""

    number: str
    second: str = ""


Reader = Callable[[str, str, date], Numbers]


@dataclass(frozen=True)
class KindFacts:
    """One kind: `most_days` it may run, what its numbers are called with an example each, what it means, and whether
    it gives a badge. `is_private`: neither the certificate nor its number is shown to the public. `by_use`: the right
    of a year under an agreement with an area and a cap."""

    read: Reader
    most_days: int
    number_label: str
    number_example: str
    meaning: str
    second_label: str = ""
    second_example: str = ""
    gives_badge: bool = True
    is_private: bool = False
    by_use: bool = False


def _green_food(number: str, second: str, issued_on: date) -> Numbers:
    product = _of("number", parse_green_food_product, number)
    if not product.is_approved_by(issued_on):
        raise Refused(
            "green_food_later",
            N_("编号里的核准年月是 %(year)s 年 %(month)s 月，晚于发证日期，请对照证书"),
            field="number",
            year=product.approved_year,
            month=product.approved_month,
        )
    return Numbers(product.number, _of("enterprise_no", parse_green_food_enterprise, second).number)


def _organic(number: str, second: str, issued_on: date) -> Numbers:
    found = _of("number", parse_organic, number)
    _not_later(found.year, issued_on)
    mark = _of("enterprise_no", parse_organic_mark, second)
    _not_later(mark.year, issued_on, field="enterprise_no")
    if mark.body != found.body[-3:]:
        raise Refused(
            "organic_bodies",
            N_("有机码的机构代码与证书编号的不一致，请对照标签和证书"),
            field="enterprise_no",
        )
    return Numbers(found.number, mark.number)


def _conversion(number: str, second: str, issued_on: date) -> Numbers:
    found = _of("number", parse_organic, number)
    _not_later(found.year, issued_on)
    if second.strip():
        raise Refused(
            "conversion_has_no_mark",
            N_("有机转换期的产品不得使用有机标志，也没有有机码，请留空"),
            field="enterprise_no",
        )
    return Numbers(found.number)


def _gi_notice(number: str, _second: str, issued_on: date) -> Numbers:
    found, year = _of("number", parse_gi_notice, number)
    _not_later(year, issued_on)
    return Numbers(found)


def _plain(parse: Callable[[str], str]) -> Reader:
    return lambda number, _second, _issued_on: Numbers(_of("number", parse, number))


def _of(field: str, parse: Callable[[str], Number], text: str) -> Number:
    """A number as `parse` reads it; what it refuses is about `field`."""
    try:
        return parse(text)
    except Refused as refusal:
        refusal.field = field
        raise


def _not_later(year: int, issued_on: date, field: str = "number") -> None:
    if year > issued_on.year:
        raise Refused(
            "number_later",
            N_("编号里的年份是 %(year)s 年，晚于发证日期，请对照证书"),
            field=field,
            year=year,
        )


K = CertificateKind
KINDS: dict[CertificateKind, KindFacts] = {
    K.GREEN_FOOD: KindFacts(
        _green_food,
        3 * 365 + 1,
        N_("产品编号"),
        "LB-18-2503140123A",
        N_("产地环境、投入品和产品都按绿色食品标准检验，证书三年一换，每年年检。"),
        N_("企业信息码"),
        "GF360703230001",
    ),
    K.ORGANIC: KindFacts(
        _organic,
        YEAR_DAYS,
        N_("证书编号"),
        "0134OP2300123",
        N_("不使用化学合成的农药、化肥和转基因技术，每年重新认证；每个最小包装都有 17 位有机码。"),
        N_("有机码（17 位）"),
        "13423012345678901",
    ),
    K.ORGANIC_CONVERSION: KindFacts(
        _conversion,
        YEAR_DAYS,
        N_("证书编号"),
        "0134OP2500456",
        N_("土地正在向有机方式过渡，这期间的产品不能称为有机产品，也不显示标志。"),
        gives_badge=False,
    ),
    K.GI_FARM_PRODUCT: KindFacts(
        _plain(parse_gi_farm),
        YEAR_DAYS,
        N_("登记证书编号"),
        "AGI00353",
        N_("产自登记保护的地域，合作社与登记证书持有人按年签订使用协议，写明面积和数量。"),
        by_use=True,
    ),
    K.GI_PROTECTED: KindFacts(
        _gi_notice,
        10 * YEAR_DAYS,
        N_("批准公告"),
        "2008年第123号",
        N_("国家批准的地理标志保护产品，合作社获准使用专用标志。"),
    ),
    K.GI_MARK: KindFacts(
        _plain(parse_gi_mark),
        10 * YEAR_DAYS,
        N_("商标注册号"),
        "8254123",
        N_("注册为证明商标的地理标志，经注册人许可使用。"),
    ),
    K.FOREST_ECOLABEL: KindFacts(
        _plain(parse_forest),
        5 * YEAR_DAYS,
        N_("证书编号"),
        "ST-36-2024-0012",
        N_("产自生态良好的森林，采集和加工都有追溯；只显示标志和二维码，不展示证书。"),
        is_private=True,
    ),
    K.FOREST_FOOD_BASE: KindFacts(
        _plain(parse_forest),
        5 * YEAR_DAYS,
        N_("基地编号"),
        "SLSP-2023-0045",
        N_("出自认定的森林食品基地，林地、水源和加工都经过核查。"),
    ),
}
