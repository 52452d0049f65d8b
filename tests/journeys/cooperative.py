"""What the manager of a cooperative does in the main job: roster, agreements, scales, listing, dispatch."""

from __future__ import annotations

import io

from PIL import Image
from playwright.sync_api import expect

from tests.journeys import story
from tests.journeys.people import Person, fen, yuan


def take_in_a_roster(manager: Person) -> None:
    """Upload a roster, read what is wrong by row and column, take the good rows."""
    manager.goes_to("名册导入")
    manager.attaches("名册文件", story.roster())
    manager.presses("上传并检查")
    finding = manager.row(manager.words("第 %(row)s 行", row=6))
    expect(finding).to_contain_text(manager.words("身份证号"))
    expect(finding).to_contain_text(manager.words("身份证号的校验位不对，多半是抄错了一位，请对照证件重填"))
    with manager.page.expect_download() as download:
        manager.page.get_by_role("link", name=manager.words("下载标注好的名册")).click()
    assert download.value.suggested_filename.endswith(".xlsx")
    manager.sees("没有问题的 %(count)s 行可以入库", count=4)
    manager.confirms("没有问题的行入库", "确认入库")
    manager.sees("已入库，新增的农户正等待本人或村级审核员确认")
    manager.follows("看等待确认的农户")
    manager.reads(story.FIRST, story.SECOND)


# --- linkage ---


def sign_contract(manager: Person, household: str) -> None:
    """Sign a contract-farming agreement over the oranges."""
    manager.goes_to("协议")
    manager.follows("签新协议")
    sign = manager.words("签%(mechanism)s", mechanism=manager.words("订单生产"))
    manager.follows_text(sign, within=manager.row(household))
    manager.types("收购品种", story.COMMODITY)
    manager.types("保底价", yuan(story.FLOOR_PRICE_FEN)[1:])
    manager.types("加价", yuan(story.PREMIUM_FEN)[1:])
    manager.types("保底兑付期限", 30)
    manager.types("生效日期", story.first_day())
    manager.presses("签订协议")
    manager.sees("协议已签订")


def open_lot(manager: Person) -> None:
    """Open the lot the slips go into."""
    manager.goes_to("批次与称重")
    manager.follows("建批次")
    manager.types("批次号", story.LOT_NO)
    manager.types("品种", story.COMMODITY)
    manager.presses("建好批次")
    manager.sees("批次 %(lot_no)s 已建好，可以开始过磅", lot_no=story.LOT_NO)


def weigh(manager: Person, slip: story.Slip) -> None:
    """Record a weigh slip, and see at once what it is worth."""
    manager.goes_to("批次与称重")
    manager.follows("过磅", within=manager.row(story.LOT_NO))
    manager.clicks(manager.page.get_by_role("link", name=slip.household))
    manager.types("过磅单号", slip.slip_no)
    manager.types("净重", slip.net_kg)
    if slip.market_fen_per_kg is not None:
        manager.types("当日市价", yuan(slip.market_fen_per_kg)[1:])
    manager.types("合作社签字", "何秋云")
    expect(manager.field("农户签字")).to_have_value(slip.household)
    manager.presses("保存过磅单")
    manager.sees("%(name)s应得", name=slip.household)
    manager.reads(yuan(slip.amount_fen))


def rent_land(manager: Person) -> None:
    """Sign a land transfer, open the linkage period of the year, record the rent."""
    manager.goes_to("协议")
    manager.follows("签新协议")
    manager.follows("土地流转")
    sign = manager.words("签%(mechanism)s", mechanism=manager.words("土地流转"))
    manager.follows_text(sign, within=manager.row(story.SECOND))
    manager.types("土地承包经营权证号", story.RIGHT_CERTIFICATE_NO)
    manager.types("地块代码", story.PARCEL_NO)
    manager.types("面积", f"{story.AREA_CMU // 100}.{story.AREA_CMU % 100:02d}")
    manager.types("年租金", story.RENT_FEN_PER_MU // 100)
    manager.types("生效日期", story.first_day())
    manager.presses("签订协议")
    manager.follows("记一笔租金", nth=0)
    manager.sees("租金记在联结期里，现在还没有包含今天的联结期。")
    manager.follows("去开设联结期")
    manager.types("第一天", story.first_day())
    manager.types("最后一天（含当天）", story.first_day().replace(month=12, day=31))
    manager.presses("开设")
    manager.sees("联结期已开设")

    manager.goes_to("协议")
    manager.follows_text(
        f"{story.SECOND} 鳌溪村委会", within=manager.row(story.SECOND, manager.words("土地流转"))
    )
    manager.follows("记一笔租金", nth=0)
    manager.types("最后一天（含当天）", story.rent_until())
    manager.presses("保存租金")
    manager.sees("租金已记录")
    manager.reads(yuan(story.rent_fen()))


# --- catalogue ---


def describe_product(manager: Person) -> None:
    """Describe the goods, with a picture, the lot and a certificate that goes to the county."""
    manager.goes_to("产品与上架")
    manager.follows("新建产品", nth=0)
    manager.types("产品名称", story.PRODUCT)
    manager.picks("品类", "脐橙" if manager.words.language == "zh_CN" else "Navel")
    manager.types("规格", story.SPECIFICATION)
    manager.types("销售单位", story.UNIT)
    manager.types("每件净重（千克）", "2.5")
    manager.types("每件毛重（千克）", "2.8")
    manager.types("保质期（天）", 30)
    manager.types("储存方式", "阴凉通风处")
    manager.types("产品介绍", "树上熟透再摘，皮薄汁多。")
    manager.presses("保存产品")
    manager.attaches("图片", ("脐橙.jpg", picture()))
    manager.types("图片说明", "一箱脐橙")
    manager.presses("上传图片")
    manager.sees("图片已上传")
    manager.picks("批次", story.LOT_NO)
    manager.presses("归入这个产品")
    manager.sees("批次 %(lot)s 已归入这个产品", lot=story.LOT_NO)
    manager.types("产品编号", story.certificate_no())
    manager.types("企业信息码", f"GF361025{story.issued_on():%y}0123")
    manager.types("发证日期", story.issued_on())
    manager.types("到期日期", story.issued_on().replace(year=story.issued_on().year + 2))
    manager.presses("提交审核")
    manager.sees("证书已提交县级审核，通过后即可用于上架")


def picture() -> bytes:
    """A picture of an orange, of sorts."""
    drawn = Image.radial_gradient("L").resize((1200, 900))
    stream = io.BytesIO()
    Image.merge(
        "RGB", (drawn.point(lambda v: 255 - v // 3), drawn.point(lambda v: 180 - v // 2), drawn)
    ).save(stream, "JPEG")
    return stream.getvalue()


def publish(manager: Person) -> None:
    """Set tiers and shares: a share below the floor is refused and nothing typed is lost; then it is on sale."""
    manager.goes_to("产品与上架")
    manager.follows("定价上架", within=manager.row(story.PRODUCT))
    manager.types("商品介绍", "树上熟透再摘，皮薄汁多。")
    quantity, price = "起订数量（%(unit)s）", "单价（元）"
    for nth, (units, fen_) in enumerate(((1, story.PRICE_FEN), (story.TIER_FROM, story.TIER_FEN))):
        manager.types(quantity, units, nth=nth, unit=story.UNIT)
        manager.types(price, yuan(fen_)[1:], nth=nth)
    manager.types("订单生产", "5")
    manager.types("土地流转", yuan(story.LEASE_BP)[1:])
    manager.presses("上架销售")
    manager.sees(
        "利益联结比例合计 %(total)s，低于这个品类的政策下限 %(floor)s，请提高", total="7.50%", floor="10.00%"
    )
    expect(manager.field("订单生产")).to_have_value("5")
    expect(manager.field(quantity, nth=1, unit=story.UNIT)).to_have_value(str(story.TIER_FROM))
    expect(manager.field(price, nth=1)).to_have_value(yuan(story.TIER_FEN)[1:])
    manager.types("订单生产", yuan(story.CONTRACT_BP)[1:])
    manager.presses("上架销售")
    manager.sees("已上架，买家马上就能看到")
    manager.reads(story.PRODUCT, yuan(story.PRICE_FEN), yuan(story.TIER_FEN))
    manager.sees("绿色食品")


# --- orders ---


def send(manager: Person, buyer: str, sale: story.Sale) -> None:
    """Confirm the order of a buyer, and send it off."""
    manager.takes_up("%(count)s 笔订单待确认", count=1)
    order = manager.row(buyer)
    assert fen(order.inner_text()) == sale.net_fen
    manager.clicks(order.get_by_role("link"))
    manager.presses("确认接单")
    manager.sees("已确认，请备货")
    manager.types("承运方", "顺丰速运")
    manager.types("运单号", "SF1002003004")
    manager.presses("登记发货")
    manager.sees("已发货")
    manager.sees("运输中")
