"""Numbers of organic products, geographical indications and forest products. Pure, like numbers.py."""

from __future__ import annotations

import re
from dataclasses import dataclass

from marketplace.catalog.certificates.numbers import compact
from marketplace.core.errors import Refused
from marketplace.core.labels import N_

FIRST_GI_YEAR = 1999  # the first rules on protected products of origin
_ORGANIC = re.compile(r"(F\d{2}|\d{3,4})-?OP-?(\d{2})-?(\d{5})((?:-\d{1,2}){0,2})", re.ASCII)
_GI_FARM = re.compile(r"AGI-?(\d{5})", re.ASCII)
_GI_NOTICE = re.compile(r"\D*((?:19|20)\d{2})(?:年第?|-)(\d{1,4})号?", re.ASCII)
_FOREST = re.compile(r"(?=(?:.*\d){4})[A-Z0-9](?:[A-Z0-9-]{4,22})[A-Z0-9]", re.ASCII)


@dataclass(frozen=True)
class OrganicNumber:
    """A certificate number such as `0134OP2300123-1`: the body, the year of the first certificate, the serial. It stays
    the same when the certificate is renewed."""

    number: str
    body: str
    year: int


def parse_organic(text: str) -> OrganicNumber:
    """Read an organic certificate number: body (3 or 4 digits), OP, year (2), serial (5), sub-certificate.

    Rules of the Certification and Accreditation Administration on certificate numbers. Raises Refused: organic_form.
    """
    match = _ORGANIC.fullmatch(compact(text))
    if not match or not int(match[3]):
        raise Refused(
            "organic_form",
            N_("有机产品认证证书编号应为机构代码（3 或 4 位）、OP、两位年份、五位流水号，例如 0134OP2300123"),
        )
    body, year, serial, part = match.groups()
    return OrganicNumber(f"{body}OP{year}{serial}{part}", body, 2000 + int(year))


def parse_organic_mark(text: str) -> OrganicNumber:
    """Read the 17 digits beside the organic mark: body (3), year (2), random (12). Raises Refused."""
    number = compact(text).replace("-", "")
    if not re.fullmatch(r"\d{17}", number, re.ASCII) or not int(number[5:]):
        raise Refused(
            "organic_mark_form", N_("有机码应为 17 位数字（机构 3 位、年份 2 位、随机码 12 位），请对照标签")
        )
    return OrganicNumber(number, number[:3], 2000 + int(number[3:5]))


def parse_gi_farm(text: str) -> str:
    """Read the registration number of a farm product's geographical indication, `AGI` + 5 digits. Raises Refused."""
    match = _GI_FARM.fullmatch(compact(text))
    if not match or not int(match[1]):
        raise Refused(
            "gi_farm_form", N_("农产品地理标志登记证书编号应为 AGI 加五位数字，例如 AGI00353，请对照登记证书")
        )
    return f"AGI{match[1]}"


def parse_gi_notice(text: str) -> tuple[str, int]:
    """Read the notice that approved a protected product, "2008年第123号" or 2008-123: its text and its year. Raises
    Refused."""
    match = _GI_NOTICE.fullmatch(compact(text))
    if not match or int(match[1]) < FIRST_GI_YEAR or not int(match[2]):
        raise Refused(
            "gi_notice_form",
            N_("地理标志保护产品请填批准公告的年份和号数，例如 2008年第123号，年份不早于 1999 年"),
        )
    return f"{match[1]}年第{int(match[2])}号", int(match[1])


def parse_gi_mark(text: str) -> str:
    """Read the registration number of a certification mark, 5 to 9 digits. Raises Refused: gi_mark_form."""
    number = compact(text).replace("-", "")
    if not re.fullmatch(r"[1-9]\d{4,8}", number, re.ASCII):
        raise Refused("gi_mark_form", N_("证明商标注册号应为 5 至 9 位数字，请对照商标注册证"))
    return number


def parse_forest(text: str) -> str:
    """Read a number of a forest product: the issuers publish no form, so letters, digits and hyphens with at least four
    digits. Raises Refused: forest_form."""
    number = compact(text)
    if not _FOREST.fullmatch(number):
        raise Refused(
            "forest_form", N_("证书编号应为 6 至 24 位字母、数字或短横，至少含四位数字，请对照证书")
        )
    return number
