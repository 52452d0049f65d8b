"""The story of the main job: who brings what, at which price, and what everybody must find in the end.

The amounts are computed here from first principles, in integers and without the marketplace's own functions, so that
the journey compares two accounts of the same money. What is typed stands beside what it means.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from marketplace.core.clock import today
from marketplace.payments.gateways.remittance_codes import code_of, display_code
from tests.factories.linkage import parcel_no
from tests.factories.rosters import csv_of, person
from tests.journeys.people import File

PRODUCT, SPECIFICATION, UNIT, UNIT_G = "赣南脐橙", "一级果 80–90 毫米", "箱", 2_500
COMMODITY, LOT_NO = "脐橙", "2026-脐橙-01"
PRICE_FEN, TIER_FEN, TIER_FROM = 4_990, 4_600, 40
CADRE_UNITS, SCHOOL_UNITS = 3, 40
CONTRACT_BP, LEASE_BP, FLOOR_BP = 800, 250, 1_000
FLOOR_PRICE_FEN, PREMIUM_FEN = 800, 50
AREA_CMU, RENT_FEN_PER_MU, DAYS_IN_YEAR = 327, 68_000, 365
PARCEL_NO = parcel_no(7)
RIGHT_CERTIFICATE_NO = "361025100200010001J"
FIRST, SECOND = "陈大山", "罗春生"


def first_day() -> date:
    """The linkage period and the lease begin with the year."""
    return today().replace(month=1, day=1)


def rent_until() -> date:
    """The last day the rent is paid for."""
    return today().replace(month=6, day=30)


def certificate_no() -> str:
    """An invented Green Food number of a product of Jiangxi, approved when it was issued."""
    return f"LB-18-{issued_on():%y%m}140123A"


def issued_on() -> date:
    """The day of the certificate."""
    return today() - timedelta(days=40)


@dataclass(frozen=True)
class Slip:
    """A weigh slip as it lies beside the scales."""

    household: str
    slip_no: str
    net_kg: str
    net_g: int
    market_fen_per_kg: int | None = None

    @property
    def amount_fen(self) -> int:
        """Its worth: the higher of floor and market price with the premium, rounded half up once."""
        price = max(FLOOR_PRICE_FEN, self.market_fen_per_kg or 0) + PREMIUM_FEN
        return half_up(self.net_g * price, 1_000)


SLIPS = (
    Slip(FIRST, "GB-0001", "120.5", 120_500),
    Slip(SECOND, "GB-0002", "77.305", 77_305, market_fen_per_kg=915),
)


def roster() -> File:
    """Two households of two people, and a third with a wrong check digit in the sixth row."""
    right = person(3)["身份证号"]
    wrong = right[:-1] + ("1" if right[-1] != "1" else "2")
    rows = [
        person(1, 1, 户主姓名=FIRST, 姓名=FIRST),
        person(1, 2, 户主姓名=FIRST, 姓名="陈小河"),
        person(2, 1, 户主姓名=SECOND, 姓名=SECOND),
        person(2, 2, 户主姓名=SECOND, 姓名="罗小溪"),
        person(3, 1, 身份证号=wrong),
    ]
    return ("鳌溪村名册.csv", csv_of(rows))


def bank_file(code: str, amount_fen: int) -> File:
    """Two credits: one with the code of a payment, one with a code nobody gave out."""
    lines = (
        "交易流水号,交易日期,收入金额,对方户名,附言",
        f"L20260001,{today()},{amount_fen // 100}.{amount_fen % 100:02d},乐安县实验小学,货款 {code}",
        f"L20260002,{today()},36.00,何秋云,货款 {display_code(code_of(7))}",
    )
    return ("六月流水.csv", "\r\n".join(lines).encode("gbk"))


# --- the same money, counted by hand ---


def half_up(numerator: int, denominator: int) -> int:
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest >= denominator)


def largest_remainder(amount: int, weights: dict[str, int]) -> dict[str, int]:
    """Everybody the whole part of the share, then a fen each to the largest remainders; ties as listed."""
    total = sum(weights.values())
    shares = {who: amount * weight // total for who, weight in weights.items()}
    for who in sorted(weights, key=lambda who: -(amount * weights[who] % total)):
        shares[who] += sum(shares.values()) < amount
    return shares


def rent_fen() -> int:
    """Area x rate x days, rounded half up once."""
    days = (rent_until() - first_day()).days + 1
    return half_up(AREA_CMU * RENT_FEN_PER_MU * days, 100 * DAYS_IN_YEAR)


@dataclass(frozen=True)
class Sale:
    """One order line and what becomes of its money."""

    units: int
    unit_price_fen: int

    @property
    def net_fen(self) -> int:
        return self.units * self.unit_price_fen

    @property
    def pools_fen(self) -> dict[str, int]:
        """The linkage money of the line, by mechanism."""
        rates = {"contract": CONTRACT_BP, "lease": LEASE_BP}
        return largest_remainder(half_up(self.net_fen * sum(rates.values()), 10_000), rates)

    @property
    def contract_credits_fen(self) -> dict[str, int]:
        """By household, in the measure of what each delivered to the lot."""
        return largest_remainder(
            self.pools_fen["contract"], {slip.household: slip.amount_fen for slip in SLIPS}
        )

    @property
    def lease_credits_fen(self) -> dict[str, int]:
        """All of it to the only household whose land is rented."""
        return {SECOND: self.pools_fen["lease"]}


CADRE_SALE = Sale(CADRE_UNITS, PRICE_FEN)
SCHOOL_SALE = Sale(SCHOOL_UNITS, TIER_FEN)
SALES = (CADRE_SALE, SCHOOL_SALE)


def income_fen(household: str) -> dict[str, int]:
    """What both sales bring a household, by mechanism."""
    return {
        "contract": sum(sale.contract_credits_fen[household] for sale in SALES),
        "lease": sum(sale.lease_credits_fen.get(household, 0) for sale in SALES),
    }
