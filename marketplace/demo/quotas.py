"""Reserved quotas of the demo's canteens: rules of two places above the national floor, filings in time, late, shared,
waiting for confirmation, and one that is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from marketplace.core import clock
from marketplace.core.money import format_yuan
from marketplace.demo.founding import PROVINCE, Canteen
from marketplace.demo.papers import keep_paper
from marketplace.demo.timeline import at_hour
from marketplace.demo.world import World
from marketplace.procurement.quota.models import QuotaFiling
from marketplace.procurement.quota.policy import set_quota_rule
from marketplace.procurement.quota.queries import rule_for
from marketplace.procurement.quota.rules import decide_filing, file_quota
from marketplace.procurement.quota.sharing import agree_to_sharing, propose_sharing

RULE_DAY, FILING_DAY, LATE_DAY = (1, 8), (2, 18), (7, 9)  # month and day
COUNTY_BP = (None, 1_500, 3_000)  # what the pilot counties ask themselves; None follows the province
FIRST_BASE_FEN, STEP_FEN = 110_000_000, 7_000_000
LATE, HEAD, OUTSOURCED, WAITS, MEMBER, MISSING = range(
    1, 7
)  # places among the canteens; 2 and 5 are neighbours
AMENDED_DAYS = 3  # days ago


@dataclass
class Quotas:
    """Plays the quota year of the canteens; those of small demos have no more than a filing in time and a late one."""

    world: World
    canteens: Sequence[Canteen]

    def plan(self) -> None:
        """Plan rules and filings of the calendar year of the demo's last day, as far as it has got."""
        year, at = self.world.last_on.year, self.world.timeline.at
        at(at_hour(date(year, *RULE_DAY), 9), self._set_rules)
        if len(self.canteens) > MEMBER:
            at(at_hour(date(year, *RULE_DAY), 14), self._share)
        for place, canteen in enumerate(self.canteens):
            if place in {MEMBER, MISSING}:
                continue
            day = date(year, *(LATE_DAY if place == LATE else FILING_DAY)) + timedelta(days=place)
            at(at_hour(day, 10), partial(self._file, place, canteen))
        amended_on = self.world.last_on - timedelta(days=AMENDED_DAYS)
        if amended_on > date(year, *FILING_DAY) + timedelta(days=2):
            at(at_hour(amended_on, 10), self._amend)

    def _set_rules(self) -> None:
        counties = list(dict.fromkeys(canteen.unit.county_code for canteen in self.canteens))
        self._set_rule(PROVINCE, 1_000, "赣财购（演示）〔{year}〕1 号", "全省按国家最低比例执行")
        for county, percent_bp in zip(counties, COUNTY_BP, strict=False):
            if percent_bp:
                self._set_rule(county, percent_bp, "县府办（演示）〔{year}〕5 号", "本县提高预留比例")

    def _set_rule(self, region_code: str, percent_bp: int, basis: str, reason: str) -> None:
        year = clock.today().year
        set_quota_rule(
            self.world.session,
            self.world.operating,
            region_code=region_code,
            year=year,
            percent_bp=percent_bp,
            filing_due_on=date(year, 6, 30),
            category_codes=(),
            scope_note="",
            basis=basis.format(year=year),
            reason=reason,
        )

    def _share(self) -> None:
        head, member = self.canteens[HEAD], self.canteens[MEMBER]
        propose_sharing(
            self.world.session,
            head.acting("orderer"),
            name="联合食堂",
            credit_codes=[head.unit.uscc, member.unit.uscc],
            representative_code=head.unit.uscc,
        )
        agree_to_sharing(self.world.session, member.acting("orderer"))

    def _file(self, place: int, canteen: Canteen) -> None:
        contractor = "演示餐饮服务公司" if place == OUTSOURCED else ""
        filing = self._filed(canteen, FIRST_BASE_FEN + place * STEP_FEN, "食堂预算", contractor=contractor)
        if place != WAITS:
            decide_filing(self.world.session, canteen.acting("approver"), filing, is_confirmed=True)

    def _amend(self) -> None:
        """The first canteen expects to spend more, which waits for its approver."""
        base_fen = FIRST_BASE_FEN + STEP_FEN
        reason = f"秋季扩招，用餐人数增加，全年食材采购调整到 {format_yuan(base_fen)} 元"
        self._filed(self.canteens[0], base_fen, "食堂预算（调整）", amendment_reason=reason)

    def _filed(self, canteen: Canteen, base_fen: int, title: str, **facts: str) -> QuotaFiling:
        """What a canteen files, with the least share its county asks for."""
        session, year, orderer = self.world.session, clock.today().year, canteen.acting("orderer")
        rule = rule_for(session, canteen.unit.county_code, year)
        assert rule is not None  # one for the whole country is shipped
        return file_quota(
            session,
            orderer,
            year=year,
            base_fen=base_fen,
            reserve_bp=rule.rule.percent_bp,
            papers=[keep_paper(self.world, orderer, f"{year} 年{title}")],
            idempotency_key=f"demo-quota-{canteen.unit.public_no}-{title}",
            **facts,
        )
