"""Receiving on a phone without scripts, the cooperative's answer, the county's word, and the papers."""

from __future__ import annotations

import io

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from marketplace.core.files import FileStore
from marketplace.core.ids import random_key
from marketplace.identity.models import Role, StoredFile, User
from marketplace.ordering.states import PartState
from marketplace.payments.models import Payment
from marketplace.procurement.receiving.models import Inspection, Receipt
from marketplace.procurement.receiving.rejections import contest_rejection
from marketplace.procurement.receiving.rules import change_policy
from tests.conftest import HeldClock, Listening, MarketClient
from tests.factories.identity import official_with
from tests.factories.receiving import Delivery, arrived, confirmed, photo, reject
from tests.factories.registry import BuyerUnitFactory, CooperativeFactory, actor_at, user_of
from tests.factories.trade import Offer, offer
from tests.journeys.paper import Visitor


@pytest.fixture
def offered(session: Session, clock: HeldClock) -> Offer:
    return offer(session, CooperativeFactory())


@pytest.fixture
def visitor(client: MarketClient) -> Visitor:
    return Visitor(client)


def picture(name: str = "note.jpg") -> tuple[io.BytesIO, str]:
    return io.BytesIO(photo().content), name


def receiver_of(session: Session, delivery: Delivery) -> User:
    return session.get_one(User, delivery.receiver.user_id)


def test_goods_travel_with_their_certificate_and_are_received_on_a_phone(
    visitor: Visitor, session: Session, offered: Offer
) -> None:
    unit = BuyerUnitFactory()
    visitor.client.sign_in(user_of(unit, Role.UNIT_APPROVER))
    page = visitor.press(visitor.open("/receiving-policy"), "保存", inspection_days="20", status=422)
    assert page.has("须在 1 到 15 个工作日之间")
    visitor.press(page, "保存", inspection_days="4", needs_certificates="y")

    delivery = confirmed(session, (offered, 10), unit=unit)
    part_no = delivery.part.public_no
    visitor.client.sign_in(session.get_one(User, delivery.manager.user_id))
    page = visitor.press(visitor.open(f"/fulfilment/{part_no}"), "登记发货", carrier="自送")
    assert page.has("还没有，请先开具再发货", "待发货")
    page = visitor.open(page.link("合格证"))
    certificate = visitor.press(page, "开具合格证")
    assert certificate.has("油茶籽", "50千克", "鳌溪村委会", "不使用禁用农药兽药", "这张合格证真实有效")
    assert visitor.press(visitor.open(f"/fulfilment/{part_no}"), "登记发货", carrier="自送").has("运输中")
    note = visitor.open(f"/parts/{part_no}/delivery-note")
    assert note.has("送货单", unit.name, "鳌溪村委会", "HG-", "收货人扫码登记收货和验收")

    visitor.client.sign_in(receiver_of(session, delivery))
    lost = visitor.open("/deliveries/find?no=Q-0000000000")
    assert lost.has("没有找到编号为 Q-0000000000 的到货")
    page = visitor.open(f"/deliveries/find?no=http://localhost/deliveries/{part_no.lower()}")
    mass = f"mass-{delivery.line.public_no}"
    page = visitor.press(page, "确认收货", temperature="warm", **{mass: "12.3456"}, status=422)
    assert page.has("请填写温度，最多一位小数", "请填写千克数，最多三位小数")
    fake = (io.BytesIO(b"<svg>no picture</svg>"), "note.jpg")
    page = visitor.press(page, "确认收货", temperature="4.5", **{mass: "4.98"}, photos=fake, status=422)
    assert page.has("只能上传 JPEG、PNG 或 WebP 图片", "运输中")
    assert session.scalars(select(Receipt)).all() == []
    page = visitor.press(page, "确认收货", temperature="-4.5", **{mass: "4.98"}, photos=picture())
    assert page.has("已登记收货，请在 2026年6月5日 前检查并验收", "待验收")
    [receipt] = session.scalars(select(Receipt)).all()
    assert (receipt.temperature_dc, receipt.lines[0].mass_g) == (-45, 4_980)
    page = visitor.open(f"/deliveries/{part_no}")
    assert page.has("−4.5℃", "4.98千克", "HG-")
    shown = visitor.client.get(page.link("照片"))
    assert (shown.mimetype, shown.headers["Cache-Control"]) == ("image/webp", "private, no-store")
    assert visitor.press(page, "全部验收合格").has("已验收")

    form = visitor.open(f"/parts/{part_no}/acceptance-form")
    assert form.has("验收单", "第 1 次验收", receiver_of(session, delivery).display_name)
    order_no = delivery.part.order.public_no
    assert visitor.open(f"/orders/{order_no}/purchase-order").has("采购单", "¥500.00", "30 日内")
    assert visitor.open(f"/orders/{order_no}/returns").has("验收与退货", "第 1 次验收", "收货")
    with visitor.client.session_transaction() as cookie:
        cookie.clear()
    seen = visitor.client.get(certificate.path)
    assert seen.status_code == 200
    assert "noindex" in seen.headers["X-Robots-Tag"]
    assert visitor.client.get(f"{certificate.path}X").status_code == 404


def test_a_line_is_rejected_contested_and_decided_by_the_county(
    visitor: Visitor, session: Session, files: FileStore, offered: Offer
) -> None:
    delivery = arrived(session, files, (offered, 10))
    no, part_no = delivery.line.public_no, delivery.part.public_no
    visitor.client.sign_in(receiver_of(session, delivery))
    page = visitor.open(visitor.open("/deliveries").link("有问题，逐项验收"))
    page = visitor.press(page, "提交验收结果", status=422)
    assert page.has("没有填写拒收数量")
    page = visitor.press(page, "提交验收结果", **{f"rejected-{no}": "11"}, status=422)
    assert page.has("数量须在 0 到 10 之间")
    page = visitor.press(page, "提交验收结果", **{f"rejected-{no}": "3"}, status=422)
    assert page.has("请选择拒收的原因")
    assert session.scalars(select(Inspection)).all() == []
    page = visitor.press(
        page,
        "提交验收结果",
        **{f"reason-{no}": "spoiled", f"words-{no}": "瓶口漏油", f"photos-{no}": picture()},
    )
    assert page.has("等待合作社答复", "变质、腐烂", "瓶口漏油", "¥150.00")
    [inspection] = session.scalars(select(Inspection)).all()
    address = f"/rejections/{inspection.public_no}"

    visitor.client.sign_in(user_of(CooperativeFactory()))
    assert visitor.client.get(address).status_code == 404
    for verb in ("agree", "replace", "contest", "statements", "withdraw"):
        answer = visitor.client.post(f"{address}/{verb}", data={"carrier": "自送", "statement": "不认可"})
        assert answer.status_code == 404

    visitor.client.sign_in(session.get_one(User, delivery.manager.user_id))
    page = visitor.open(visitor.open("/rejections").link(inspection.public_no))
    page = visitor.press(page, "提出异议", statement=" ", status=422)
    assert page.has("请写明情况，最多 1000 个字")
    page = visitor.press(page, "提出异议", statement="装车时完好", files=picture("车上.jpg"))
    assert page.has("争议处理中", "装车时完好", "照片 1")

    elsewhere = official_with(Role.COUNTY_REVIEWER, "360827")
    visitor.client.sign_in(elsewhere)
    assert visitor.open("/disputes").has("没有待调解的争议")
    assert visitor.client.get(address).status_code == 404
    visitor.client.sign_in(official_with(Role.COUNTY_REVIEWER))
    page = visitor.open(visitor.open("/disputes").link(inspection.public_no))
    assert visitor.client.get(page.link("照片 1")).status_code == 200
    page = visitor.press(page, "提交说明", statement="请双方三日内补充材料")
    page = visitor.press(page, "拒收成立", reason=" ", status=422)
    assert page.has("请写明理由，对方会看到", "争议处理中")
    page = visitor.press(page, "拒收成立", reason="照片显示瓶口封口不严")
    assert page.has("县级调解：同意拒收，扣减货款", "照片显示瓶口封口不严", "请双方三日内补充材料")
    assert delivery.part.state is PartState.ACCEPTED
    assert session.scalars(select(Payment.amount_fen)).all() == [35_000]

    visitor.client.sign_in(receiver_of(session, delivery))
    page = visitor.open(f"/orders/{delivery.part.order.public_no}/returns")
    assert page.has("同意拒收，扣减货款", "退款与扣减", "已从应付货款中扣除", "瓶口漏油")
    assert visitor.client.post(f"/deliveries/{part_no}/accept").status_code == 409


def test_goods_are_sent_again_and_just_those_are_received(
    visitor: Visitor, session: Session, files: FileStore, offered: Offer
) -> None:
    delivery = arrived(session, files, (offered, 10))
    rejection = reject(session, files, delivery, 3)
    visitor.client.sign_in(session.get_one(User, delivery.manager.user_id))
    page = visitor.open(f"/rejections/{rejection.public_no}")
    page = visitor.press(page, "补发换货", carrier="", status=422)
    page = visitor.press(page, "补发换货", carrier="县域共配", waybill_no="YS1")
    assert page.has("合作社：补发换货")
    assert visitor.open(f"/parts/{delivery.part.public_no}/delivery-note").has(
        "补发送货单", "3 瓶", "1.5千克"
    )
    visitor.client.sign_in(receiver_of(session, delivery))
    page = visitor.open(f"/deliveries/{delivery.part.public_no}")
    assert page.has("只收、只验补发的数量", "应到 3 瓶")
    visitor.press(page, "确认收货")
    page = visitor.press(visitor.open(f"/deliveries/{delivery.part.public_no}"), "全部验收合格")
    assert page.has("已验收", "未付款")


def test_a_part_is_sent_again_and_the_rest_is_taken_off(
    visitor: Visitor, session: Session, files: FileStore, offered: Offer
) -> None:
    delivery = arrived(session, files, (offered, 10))
    rejection = reject(session, files, delivery, 3)
    visitor.client.sign_in(session.get_one(User, delivery.manager.user_id))
    page, again = visitor.open(f"/rejections/{rejection.public_no}"), f"units-{delivery.line.public_no}"
    page = visitor.press(page, "补发换货", carrier="自送", **{again: "4"}, status=422)
    assert page.has("数量须在 0 到 3 之间")
    page = visitor.press(page, "补发换货", carrier="自送", **{again: "0"}, status=422)
    assert page.has("补发数量都是 0")
    page = visitor.press(page, "补发换货", carrier="自送", **{again: "2"})
    assert page.has("合作社：部分补发，其余扣减货款", "补发 2 瓶，扣减 1 瓶")
    visitor.client.sign_in(receiver_of(session, delivery))
    assert visitor.open(f"/deliveries/{delivery.part.public_no}").has("应到 2 瓶")


def test_others_do_not_open_photos_or_papers(
    client: MarketClient, session: Session, files: FileStore, offered: Offer
) -> None:
    delivery = arrived(session, files, (offered, 10))
    rejection = reject(session, files, delivery, 1)
    contest_rejection(session, delivery.manager, files, rejection, words="装车时完好", uploads=(photo(),))
    [kept] = session.scalars(select(StoredFile)).all()
    paths = (
        f"/delivery-files/{kept.public_no}",
        f"/parts/{delivery.part.public_no}/delivery-note",
        f"/parts/{delivery.part.public_no}/acceptance-form",
        f"/orders/{delivery.part.order.public_no}/purchase-order",
        f"/orders/{delivery.part.order.public_no}/returns",
        f"/deliveries/{delivery.part.public_no}",
        f"/deliveries/{delivery.part.public_no}/inspect",
    )
    client.sign_in(user_of(BuyerUnitFactory()))
    assert {client.get(path).status_code for path in paths} == {404}
    client.sign_in(user_of(CooperativeFactory()))
    assert {client.get(path).status_code for path in paths} <= {403, 404}
    lot = offered.lot.public_no
    assert client.get(f"/lots/{lot}/certificates").status_code == 404


def test_lists_do_not_cost_by_the_row(
    client: MarketClient,
    session: Session,
    files: FileStore,
    offered: Offer,
    page_statements: Listening,
) -> None:
    unit = BuyerUnitFactory()
    change_policy(session, actor_at(unit, Role.UNIT_APPROVER), inspection_days=3, needs_certificates=False)
    receiver = user_of(unit, Role.UNIT_RECEIVER)
    client.sign_in(receiver)

    def cost(path: str) -> int:
        client.get(path)
        with page_statements() as sent:
            assert client.get(path).status_code == 200
        return len(sent)

    def add() -> None:
        reject(session, files, arrived(session, files, (offered, 2), unit=unit, key=random_key()), 1)

    paths = ("/rejections", "/rejections?state=all")
    add()
    few = [cost(path) for path in paths]
    for _ in range(3):
        add()
    assert [cost(path) for path in paths] == few
