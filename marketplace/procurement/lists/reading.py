"""Reading what is to be ordered, as people type or paste it: a product by number or name, and how many units.

A sheet (CSV, XLSX, or cells pasted from Excel) is read by the reader of rosters; each fault is named by row and column
with how to mend it, and the good rows can go to the cart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, ListingState, ListingVersion, Product
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.linkage.sheet_format import Finding, SheetColumn, SheetHeader
from marketplace.ordering.wishes import MAX_LINES, MAX_QUANTITY
from marketplace.procurement.lists.basket import Assessed, Remark, Wanted, assess
from marketplace.registry.roster.checks import text_of
from marketplace.registry.roster.columns import HEADER_LINES, plain_title
from marketplace.registry.roster.sheets import SheetReader
from marketplace.registry.roster.xlsx_rows import Formula

MOST_BYTES = 1024 * 1024
MOST_CHARACTERS = 120
MOST_NAMED = 4
PRODUCT = SheetColumn(
    "product",
    N_("产品编号或名称"),
    aliases=(
        "产品",
        "商品",
        "品名",
        "名称",
        "产品名称",
        "商品名称",
        "编号",
        "产品编号",
        "商品编号",
        "货号",
        "食材",
    ),
)
QUANTITY = SheetColumn("quantity", N_("数量"), aliases=("件数", "订购数量", "采购数量", "订货数量"))
_COLUMNS = (PRODUCT, QUANTITY)
_LAST_WORD = re.compile(r"^(.*\S)[ \u3000]+(\S+)$")


@dataclass(frozen=True)
class TypedRow:
    """A row as it was typed."""

    number: int
    product: str
    quantity: str

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed."""
        return not self.product and not self.quantity


@dataclass
class Checked:
    """What came of typed rows: the good ones with today's price, by row number, and what to mend in the others."""

    rows: dict[int, Assessed] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def total_fen(self) -> int:
        """What the good rows cost."""
        return sum(row.total_fen for row in self.rows.values())

    def findings_of(self, number: int) -> list[Finding]:
        """What to mend in one row."""
        return [finding for finding in self.findings if finding.row == number]


def header_in(lines: Sequence[Sequence[object]]) -> SheetHeader | None:
    """The line that names both columns among the first ones; None when the sheet has no header."""
    named = {title: column for column in _COLUMNS for title in column.titles}
    for row, cells in enumerate(lines[:HEADER_LINES], start=1):
        places: dict[SheetColumn, int] = {}
        for place, cell in enumerate(cells):
            column = named.get(plain_title(cell))
            if column:
                places.setdefault(column, place)
        if len(places) == len(_COLUMNS):
            return SheetHeader(row, places)
    return None


def rows_pasted(text: str) -> list[TypedRow]:
    """The rows of cells pasted as text. Raises Refused when there is nothing, or too much."""
    if not text.strip():
        raise Refused("no_rows", N_("没有内容：请从 Excel 复制产品和数量两列，粘贴到这里"), field="pasted")
    lines = text.splitlines()
    if not any("\t" in line for line in lines):
        lines = [_LAST_WORD.sub("\\1\t\\2", line) if "," not in line else line for line in lines]
    return rows_of_sheet("\n".join(lines).encode(), field_name="pasted")


def rows_of_sheet(content: bytes, *, field_name: str = "file") -> list[TypedRow]:
    """The filled rows of a sheet. Without a header its first two columns are product and quantity.

    Raises Refused for what is no sheet, is empty, or has more rows than an order.
    """
    if len(content) > MOST_BYTES:
        raise Refused("sheet_too_large", N_("文件太大，请分成几份上传"), field=field_name)
    reader = SheetReader(content, header_in)
    header: SheetHeader | None = reader.header  # type: ignore[assignment]  # found by header_in
    places = header.places if header else {PRODUCT: 0, QUANTITY: 1}
    rows: list[TypedRow] = []
    while not reader.at_end:
        for number, cells in reader.lines(500):
            product, quantity = (_text(cells, places[column]) for column in _COLUMNS)
            if product or quantity:
                rows.append(TypedRow(number, product, quantity))
            if len(rows) > MAX_LINES:
                message = N_("一次最多 %(most)s 行，请分成几次")
                raise Refused("too_many_rows", message, field=field_name, most=MAX_LINES)
    if not rows:
        raise Refused("no_rows", N_("表里没有内容，请填好后再上传"), field=field_name)
    return rows


def _text(cells: Sequence[object], place: int) -> str:
    cell = cells[place] if place < len(cells) else None
    return "=" if isinstance(cell, Formula) else text_of(cell)[:MOST_CHARACTERS]


def check_rows(session: Session, typed: Sequence[TypedRow]) -> Checked:
    """Find the listing of each row and set it against today, in two statements whatever their number."""
    checked = Checked()
    listings = listings_called(session, [row.product for row in typed if row.product])
    first: dict[int, int] = {}
    wanted: dict[int, Wanted] = {}
    for row in typed:
        if row.is_empty:
            continue
        found, faults = _listing_of(row, listings.get(row.product, []))
        quantity = _quantity_of(row, faults)
        if found is not None and found.id in first:
            message = N_("和第 %(first)s 行是同一个产品，请合并成一行")
            faults.append(Finding(row.number, PRODUCT.label, message, {"first": first[found.id]}))
        elif found is not None:
            first[found.id] = row.number
        if faults:
            checked.findings += faults
        elif found is not None and quantity is not None:
            wanted[row.number] = Wanted(found, quantity)
    for number, assessed in zip(wanted, assess(session, list(wanted.values())), strict=True):
        fault = _fault_of(number, assessed)
        if fault is None:
            checked.rows[number] = assessed
        else:
            checked.findings.append(fault)
    checked.findings.sort(key=lambda finding: finding.row)
    return checked


def _listing_of(row: TypedRow, listings: Sequence[Listing]) -> tuple[Listing | None, list[Finding]]:
    if not row.product:
        return None, [Finding(row.number, PRODUCT.label, N_("请填写产品编号或名称"))]
    if row.product == "=":
        return None, [Finding(row.number, PRODUCT.label, N_("这一格是公式，请改成文字再提交"))]
    if not listings:
        message = N_("没有找到“%(name)s”：请核对名称，或改填产品页上的编号")
        return None, [Finding(row.number, PRODUCT.label, message, {"name": row.product})]
    if len(listings) > 1:
        message = N_("有 %(count)s 个“%(name)s”在售，请改填编号：%(numbers)s")
        numbers = "、".join(
            f"{one.public_no}（{one.product.cooperative.name} {one.product.specification}）"
            for one in listings[:MOST_NAMED]
        )
        params = {"count": len(listings), "name": row.product, "numbers": numbers}
        return None, [Finding(row.number, PRODUCT.label, message, params)]
    return listings[0], []


def _quantity_of(row: TypedRow, faults: list[Finding]) -> int | None:
    """The units of a row; what is wrong with them is added to its faults."""
    text = row.quantity.replace(",", "").replace("，", "")
    whole = text.removesuffix(".0").removesuffix(".00")
    if not text:
        message = N_("请填写数量")
    elif re.fullmatch(r"[-−－]\s*\d+(\.\d+)?|0+", whole):
        message = N_("数量须大于 0")
    elif not (whole.isascii() and whole.isdigit()):
        message = N_("数量要写成整数，例如 12")
    elif len(whole) > len(str(MAX_QUANTITY)) or int(whole) > MAX_QUANTITY:
        message = N_("数量最多 %(most)s，请检查是不是多打了数字")
    else:
        return int(whole)
    faults.append(Finding(row.number, QUANTITY.label, message, {"most": MAX_QUANTITY}))
    return None


def _fault_of(number: int, assessed: Assessed) -> Finding | None:
    """What keeps a row that could be read from being bought today."""
    if assessed.is_barred:
        barred = next(remark for remark in assessed.remarks if assessed.is_barred)
        message = {
            Remark.GONE: N_("这个产品已下架，请换一个"),
            Remark.LAPSED: N_("这个产品的认证已失效，暂停销售，请换一个"),
            Remark.SOLD_OUT: N_("这个产品已售完，请换一个"),
        }[barred]
        return Finding(number, PRODUCT.label, message)
    if Remark.SHORT in assessed.remarks:
        message = N_("现货只有 %(left)s %(unit)s，请减少数量")
        params = {"left": assessed.left, "unit": assessed.wanted.listing.product.unit_name}
        return Finding(number, QUANTITY.label, message, params)
    return None


def listings_called(session: Session, words: Sequence[str]) -> dict[str, list[Listing]]:
    """The listings that each word names exactly: by the listing's or the product's number, or by name or title.

    Of those with a name only what is published counts; a number also finds what was withdrawn, to say so.
    """
    plain = {word: word.strip() for word in words}
    numbers = {text.upper() for text in plain.values()}
    names = set(plain.values())
    query = (
        select(Listing)
        .join(Product, Product.id == Listing.product_id)
        .outerjoin(ListingVersion, ListingVersion.id == Listing.current_version_id)
        .where(
            or_(
                Listing.public_no.in_(numbers),
                Product.public_no.in_(numbers),
                Product.name.in_(names) & (Listing.state == ListingState.PUBLISHED),
                ListingVersion.title.in_(names) & (Listing.state == ListingState.PUBLISHED),
            )
        )
        .order_by(Listing.id)
        .limit(10 * MAX_LINES)
    )
    by_word: dict[str, list[Listing]] = {}
    for listing in session.scalars(query).unique():
        title = listing.current_version.title if listing.current_version else ""
        for called in {listing.public_no, listing.product.public_no, listing.product.name, title}:
            by_word.setdefault(called, []).append(listing)
    return {word: _best(by_word, text) for word, text in plain.items()}


def _best(by_word: Mapping[str, list[Listing]], text: str) -> list[Listing]:
    """A number goes before a name."""
    return by_word.get(text.upper()) or by_word.get(text, [])
