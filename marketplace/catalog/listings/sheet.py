"""Listings by the sheet: each row describes a product, or names one there is, and keeps what its listing shall say as a
draft. Pictures stay as they are; nothing goes on sale by a sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.catalog.listings.queries import open_edit
from marketplace.catalog.listings.rules import save_draft
from marketplace.catalog.models import Product
from marketplace.catalog.queries import listing_of_product, products_of
from marketplace.catalog.rules import add_product, check_terms, check_tiers
from marketplace.catalog.sheets.format import CatalogFormat, Take
from marketplace.catalog.sheets.naming import CategoryFinder
from marketplace.core.errors import Refused
from marketplace.core.labels import N_
from marketplace.core.money import parse_yuan
from marketplace.core.quantity import parse_decimal
from marketplace.identity.actors import Actor
from marketplace.identity.permissions import Permission
from marketplace.linkage.models import Mechanism
from marketplace.linkage.sheet_format import SheetColumn, SheetRow, as_typed, read_kg, read_whole, read_yuan
from marketplace.registry.models import Cooperative, Region

YUAN = N_("请填写金额，最多两位小数，例如 8.50")
KG = N_("请填写千克数，最多三位小数，例如 126.5")
WHOLE = N_("请填写整数")
PERCENT = N_("请填写百分数，最多两位小数，例如 8.5")
LONG = N_("字数太多，请精简")


def _words(most: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if len(text) > most:
            raise ValueError(text)
        return text

    return read


def _percent(text: str) -> int:
    return parse_decimal(as_typed(text.rstrip("%％")), places=2)


def _tier(text: str) -> tuple[int, int]:
    """Ten units on at 45 yuan is written 10:45.00. Raises ValueError."""
    least, _, price = text.replace("：", ":").partition(":")
    if not price:
        raise ValueError(text)
    return read_whole(least.strip()), parse_yuan(price)


TERM_LABELS = {
    Mechanism.CONTRACT_FARMING: N_("订单生产比例"),
    Mechanism.LAND_TRANSFER: N_("土地流转比例"),
    Mechanism.EMPLOYMENT: N_("就业务工比例"),
    Mechanism.PRODUCTION_TRUSTEESHIP: N_("生产托管比例"),
    Mechanism.SHARE_COOPERATION: N_("股份合作比例"),
    Mechanism.ASSET_LEASE: N_("资产租赁比例"),
}
TERMS = tuple(
    SheetColumn(
        f"term_{one.value}",
        words,
        _percent,
        PERCENT,
        (one.label,),
        required=False,
        help=N_("销售额里分给农户的百分比，例如 15"),
    )
    for one, words in TERM_LABELS.items()
)
COLUMNS = (
    SheetColumn("product_no", N_("产品编号"), str.upper, required=False, help=N_("改已有的产品时填；新产品不填")),
    SheetColumn("name", N_("产品名称"), _words(60), LONG, help=N_("例如 赣南脐橙")),
    SheetColumn("category", N_("品类"), _words(60), LONG, help=N_("平台的品类名称，最末一级")),
    SheetColumn("village", N_("产地（村）"), _words(60), LONG, aliases=("产地", "村"), required=False,
                help=N_("不填按合作社所在的村")),
    SheetColumn("specification", N_("规格"), _words(60), LONG, help=N_("例如 一级果 80–90 毫米")),
    SheetColumn("unit_name", N_("销售单位"), _words(10), LONG, aliases=("单位",), help=N_("例如 箱、袋、瓶")),
    SheetColumn("net_mass_g", N_("每件净重（千克）"), read_kg, KG, aliases=("净重",), help=N_("千克，最多三位小数")),
    SheetColumn("gross_mass_g", N_("每件毛重（千克）"), read_kg, KG, aliases=("毛重",), help=N_("千克，最多三位小数")),
    SheetColumn("shelf_life_days", N_("保质期（天）"), read_whole, WHOLE, aliases=("保质期",), required=False,
                help=N_("从生产或采收那天算起的天数，例如 30")),
    SheetColumn("storage", N_("储存方式"), _words(120), LONG, required=False,
                help=N_("例如 阴凉通风处")),
    SheetColumn("title", N_("商品标题"), _words(80), LONG, aliases=("标题",), required=False,
                help=N_("不填的用原来的标题或产品名称")),
    SheetColumn("description", N_("商品介绍"), _words(120), LONG, aliases=("介绍",), required=False,
                help=N_("最多 120 个字；不填的用原来的介绍，更长的在网页上写")),
    SheetColumn("price_fen", N_("单价（元）"), read_yuan, YUAN, aliases=("单价", "价格"), help=N_("一件的价格")),
    SheetColumn("tier_2", N_("第二档"), _tier, N_("请照“10:45.00”填写，表示 10 件起每件 45 元"), required=False,
                help=N_("例如 10:45.00，表示 10 件起每件 45 元")),
    SheetColumn("tier_3", N_("第三档"), _tier, N_("请照“10:45.00”填写，表示 10 件起每件 45 元"), required=False,
                help=N_("写法同第二档")),
    *TERMS,
)  # fmt: skip


def _begin(session: Session, actor: Actor, rows: Sequence[SheetRow]) -> Take:
    actor.require(Permission.MANAGE_LISTINGS)
    categories = CategoryFinder(session)
    cooperative = session.get_one(Cooperative, actor.cooperative_id)
    villages = _villages(session, cooperative)
    known = _known(session, actor, rows)

    def take(row: SheetRow) -> object:
        tiers = [(1, row["price_fen"]), *(row[key] for key in ("tier_2", "tier_3") if row[key])]
        terms = {one: row[f"term_{one.value}"] for one in Mechanism if row[f"term_{one.value}"]}
        product = _product(row)
        _refuse_at("price_fen", lambda: check_tiers(tiers))
        _refuse_at(TERMS[0].key, lambda: check_terms(session, product=product, terms=terms))
        title, description = _said_before(session, product)
        return save_draft(
            session,
            actor,
            product,
            title=row["title"] or title or row["name"],
            description=row["description"] or description,
            tiers=tiers,
            terms=terms,
        )

    def _product(row: SheetRow) -> Product:
        if row["product_no"]:
            found = known.get(row["product_no"])
            if found is None:
                raise Refused("product_unknown", N_("本社没有这个编号的产品"), field="product_no")
            return found
        village = villages.get(row["village"]) if row["village"] else cooperative.village_code
        if village is None:
            raise Refused("village_unknown", N_("本县没有这个村，请写全称"), field="village")
        return add_product(
            session,
            actor,
            category_code=categories.code_of(row["category"], leaf=True),
            village_code=village,
            name=row["name"],
            specification=row["specification"],
            unit_name=row["unit_name"],
            net_mass_g=row["net_mass_g"],
            gross_mass_g=row["gross_mass_g"],
            shelf_life_days=row["shelf_life_days"],
            storage=row["storage"] or "",
            description=row["description"] or "",
        )

    return take


def _said_before(session: Session, product: Product) -> tuple[str, str]:
    """The title and the words that a product's draft or listing has."""
    edit, listing = open_edit(session, product), listing_of_product(session, product)
    said = edit or (listing.current_version if listing else None)
    return (said.title, said.description) if said else ("", product.description)


def _refuse_at(column: str, check: Callable[[], Any]) -> None:
    """Run a check; what it refuses is about that column."""
    try:
        check()
    except Refused as refusal:
        refusal.field = column
        raise


def _villages(session: Session, cooperative: Cooperative) -> dict[str, str]:
    """Codes of the villages of the county by name, short and full."""
    query = select(Region).where(
        Region.code.startswith(cooperative.county_code), Region.parent_code.is_not(None)
    )
    return {
        name: place.code
        for place in session.scalars(query)
        if len(place.code) == len(cooperative.village_code)
        for name in (place.name, place.full_name)
    }


def _known(session: Session, actor: Actor, rows: Sequence[SheetRow]) -> dict[str, Product]:
    """The products that rows name, by number, in one statement."""
    numbers = {row["product_no"] for row in rows if row["product_no"]}
    query = products_of(actor).where(Product.public_no.in_(numbers)).order_by(None)
    return {product.public_no: product for product in session.scalars(query).unique()}


LISTINGS = CatalogFormat(
    name="listings",
    title=N_("商品表"),
    lead=N_(
        "一行一个产品。录入后成为草稿，补上图片和批次、看过再上架；已有的产品填编号，只改草稿，图片不动。"
    ),
    columns=COLUMNS,
    unique=("product_no", "name", "specification"),
    permission=Permission.MANAGE_LISTINGS,
    begin=_begin,
)
