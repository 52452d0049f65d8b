"""The slip on paper: one A5 sheet in large type, with a QR code that opens the public check.

What stands on it is decided in `contents`, which a test can read; `draw` only places it. In English every label stands
in both languages, because the paper is shown to people who read Chinese.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

import segno
from flask_babel import gettext
from fpdf import FPDF

from marketplace.core.clock import business_day
from marketplace.core.labels import N_
from marketplace.core.money import format_yuan
from marketplace.linkage.models import Attribution, Mechanism
from marketplace.payments.slips.models import IncomeSlip
from marketplace.payments.slips.queries import HASH_SHOWN

FONT = files("pylopdf_fonts_zh_cn") / "NotoSansSC-Regular.otf"  # reads Chinese; reportlab could not embed it
MARGIN_MM, WIDTH_MM, LINE_MM = 12, 124, 7.5
QR_MM = 38
A5_MM = (148, 210)


class Row(NamedTuple):
    """A label and what stands beside it; `is_total` rows are set apart."""

    label: str
    text: str
    is_total: bool = False


@dataclass(frozen=True)
class Paper:
    """Everything that is printed, in order."""

    title: str
    who: list[Row]
    money: list[Row]
    check_url: str
    small: list[str]


def contents(slip: IncomeSlip, *, holder: str, check_url: str) -> Paper:
    """What a slip says in the reader's language. `holder` is the name as this reader may see it."""
    figures = slip.figures
    issued = business_day(slip.issued_at).isoformat()
    scope = slip.cooperative.name if slip.cooperative else _both(N_("全部合作社"))
    who = [
        Row(_both(N_("凭条编号")), slip.public_no),
        Row(_both(N_("户主")), holder),
        Row(_both(N_("所在村")), slip.household.village.full_name),
        Row(_both(N_("期间")), f"{slip.since_on.isoformat()} — {slip.until_on.isoformat()}"),
        Row(_both(N_("合作社范围")), scope),
        Row(_both(N_("金额单位")), _both(N_("元"))),
    ]
    small = [
        _both(N_("直接归因")) + f" ¥{_yuan(figures['by_attribution'].get(Attribution.DIRECT.value, 0))}"
        "    "
        + _both(N_("分摊归因"))
        + f" ¥{_yuan(figures['by_attribution'].get(Attribution.ALLOCATED.value, 0))}",
        _both(N_("出具日期"))
        + f" {issued}    "
        + _both(N_("内容指纹"))
        + f" {slip.content_hash[:HASH_SHOWN]}",
        _both(N_("扫码可核验真伪，核验页不显示姓名和证件")),
    ]
    return Paper(_both(N_("联结收入凭条")), who, _money_rows(figures), check_url, small)


def _money_rows(figures: dict[str, object]) -> list[Row]:
    by_mechanism = figures["by_mechanism"]
    assert isinstance(by_mechanism, dict)
    rows = [
        Row(_both(one.label), _yuan(by_mechanism[one.value]))
        for one in Mechanism
        if one.value in by_mechanism
    ]
    rows.append(Row(_both(N_("入账合计")), _yuan(figures["credited_fen"]), is_total=True))
    extra = {
        "guaranteed_fen": N_("保底补差"),
        "relief_fen": N_("退款由合作社承担"),
        "other_fen": N_("代扣与调整"),
    }
    rows += [Row(_both(words), _yuan(figures[name])) for name, words in extra.items() if figures[name]]
    rows.append(Row(_both(N_("已发放到账")), _yuan(figures["paid_out_fen"])))
    if figures["under_way_fen"]:
        rows.append(Row(_both(N_("发放途中")), _yuan(figures["under_way_fen"])))
    rows.append(Row(_both(N_("截至出具日还应发放")), _yuan(figures["balance_fen"]), is_total=True))
    return rows


def _yuan(fen: object) -> str:
    assert isinstance(fen, int)
    return format_yuan(fen)


def _both(words: str) -> str:
    """The Chinese words, and the reader's own beside them when they differ."""
    own = str(gettext(words))
    return words if own == words else f"{words} {own}"


class _Sheet(FPDF):
    """One A5 sheet with the Chinese font."""

    def __init__(self) -> None:
        super().__init__(orientation="portrait", unit="mm", format=A5_MM)
        self.set_auto_page_break(auto=False)
        self.set_margins(MARGIN_MM, MARGIN_MM, MARGIN_MM)
        self.add_font("sans", fname=str(FONT))
        self.add_page()

    def line_of(self, row: Row, size: int) -> None:
        """A label at the left and its value at the right of one line, smaller when they would meet."""
        self.set_font("sans", size=size)
        while size > 7 and self.get_string_width(row.label) + self.get_string_width(row.text) > WIDTH_MM - 4:
            size -= 1
            self.set_font("sans", size=size)
        top = self.get_y()
        self.cell(WIDTH_MM, LINE_MM, row.label, align="L")
        self.set_xy(MARGIN_MM, top)
        self.cell(WIDTH_MM, LINE_MM, row.text, align="R", new_x="LMARGIN", new_y="NEXT")


def draw(paper: Paper, slip: IncomeSlip) -> bytes:
    """The sheet as PDF bytes; the same slip gives the same drawing."""
    sheet = _Sheet()
    sheet.set_title(paper.title)
    sheet.set_creation_date(slip.issued_at)
    sheet.set_font("sans", size=20)
    sheet.cell(WIDTH_MM, 12, paper.title, align="C", new_x="LMARGIN", new_y="NEXT")
    _rule(sheet)
    for row in paper.who:
        sheet.line_of(row, 11)
    _rule(sheet)
    for row in paper.money:
        if row.is_total:
            _rule(sheet, light=True)
        sheet.line_of(row, 15 if row.is_total else 13)
    _rule(sheet)
    foot = sheet.get_y() + 2
    _qr(sheet, paper.check_url, MARGIN_MM, foot)
    sheet.set_font("sans", size=8)
    sheet.set_xy(MARGIN_MM + QR_MM + 4, foot + 1)
    text = "\n".join([*paper.small, paper.check_url])
    sheet.multi_cell(WIDTH_MM - QR_MM - 4, 4.6, text, align="L", wrapmode="CHAR")
    return bytes(sheet.output())


def _rule(sheet: FPDF, *, light: bool = False) -> None:
    sheet.set_draw_color(190 if light else 60)
    top = sheet.get_y() + 1
    sheet.line(MARGIN_MM, top, MARGIN_MM + WIDTH_MM, top)
    sheet.set_y(top + 1)


def _qr(sheet: FPDF, address: str, left: int, top: float) -> None:
    """The QR code as black squares, a run of them at a time, so that no picture blurs in print."""
    rows = list(segno.make(address, error="m", micro=False).matrix_iter(border=2))
    side = QR_MM / len(rows)
    sheet.set_fill_color(0)
    for y, row in enumerate(rows):
        start = None
        for x, dark in enumerate([*row, 0]):
            if dark and start is None:
                start = x
            elif not dark and start is not None:
                sheet.rect(left + start * side, top + y * side, (x - start) * side, side, style="F")
                start = None
