"""The pages of payouts: preparing, approving, the file, the bank's answer, accounts, who is let in, their cost."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from marketplace.identity.models import Role, TrailEntry, User
from marketplace.payments.payouts.account_numbers import make_account_number
from marketplace.payments.payouts.account_queries import account_of
from marketplace.payments.payouts.models import BatchState, PayoutBatch, PayoutResult, PayoutState
from marketplace.registry.models import Cooperative
from tests.conftest import Listening, MarketClient
from tests.factories.identity import official_with
from tests.factories.registry import CooperativeFactory, user_of
from tests.journeys.paper import Visitor
from tests.payments.payout_world import HEADER, PayoutWorld, row, upload, world

MULTIPART = {"content_type": "multipart/form-data"}


def people(cooperative: Cooperative) -> tuple[User, User]:
    """A clerk and a manager with accounts of their own."""
    return user_of(cooperative, Role.COOPERATIVE_CLERK), user_of(cooperative)


def prepared(client: MarketClient, made: PayoutWorld, clerk: User) -> PayoutBatch:
    client.sign_in(clerk)
    page = Visitor(client).open("/payouts/prepare")
    form = next(form for form in page.forms if form.method == "post" and "layout" in form.values)
    answer = client.post("/payouts/prepare", data=form.values)
    assert answer.status_code == 303
    return made.session.scalars(select(PayoutBatch)).one()


def test_a_batch_goes_from_the_list_to_the_bank_and_back(
    client: MarketClient, session: Session, work: object
) -> None:
    made = world(session, (5_000, 7_000, 900))
    clerk, manager = people(made.cooperative)
    batch = prepared(client, made, clerk)
    address = f"/payouts/{batch.public_no}"
    page = Visitor(client).open(address)
    assert page.has("待复核", "120.00", "制单人不能复核自己的单子")
    assert client.post(f"{address}/approve").status_code == 403

    client.sign_in(manager)
    assert Visitor(client).open("/").has("批发放待复核") or Visitor(client).open("/desk").has("批发放待复核")
    assert client.post(f"{address}/approve", follow_redirects=True).status_code == 200
    assert batch.state is BatchState.APPROVED
    work("send payouts")  # type: ignore[operator]
    assert batch.state is BatchState.SENT
    answer = client.post(f"{address}/file")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.data.startswith(b"\xef\xbb\xbf")
    assert session.scalar(select(func.count()).where(TrailEntry.action == "payments.download_payouts")) == 1

    client.sign_in(clerk)
    first, second = made.payouts(batch)
    content = "\n".join((HEADER, row(first), row(second, "失败", "账号已销户"), "PO-NONE,1,成功,"))
    answer = client.post(f"{address}/results", data=upload(content), **MULTIPART)
    result = session.scalars(select(PayoutResult)).one()
    assert answer.location.endswith(f"{address}/results/{result.public_no}")
    page = Visitor(client).open(f"{address}/results/{result.public_no}")
    assert page.has("按这份结果入账", "第 4 行", "没有这个发放编号，请核对是不是别的文件")
    assert first.state is PayoutState.SENT  # looking takes nothing
    client.post(f"{address}/results/{result.public_no}/take")
    assert (first.state, second.state, batch.state) == (
        PayoutState.PAID,
        PayoutState.FAILED,
        BatchState.FINISHED,
    )
    page = Visitor(client).open(f"{address}/results/{result.public_no}")
    assert page.has("已办理", "第 4 行")
    page = Visitor(client).open(f"{address}?state=failed")
    assert page.has("账号已销户", "更正账号")
    assert Visitor(client).open("/payouts").has("笔发放失败待更正")
    assert client.get(f"{address}/results/PR-0000000000").status_code == 404


def test_the_plan_says_who_is_held_back_before_anything_is_prepared(
    client: MarketClient, session: Session
) -> None:
    made = world(session, (5_000, 7_000), accounts=False)
    made.account(made.households[0])
    client.sign_in(people(made.cooperative)[0])
    page = Visitor(client).open("/payouts/prepare")
    assert page.has("可发放", "50.00", "还没有收款账号，请登记", made.households[1].head_name)
    page = Visitor(client).open("/payouts/prepare?minimum=60&up_to_on=2099-01-01&layout=generic_csv")
    assert page.has("现在没有可以发放的款项")
    assert session.scalar(select(func.count()).select_from(PayoutBatch)) == 0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"minimum": "十元"}, "请填写金额，最多两位小数"),
        ({"minimum": "0"}, "起发金额应大于 0"),
        ({"layout": "none"}, ""),
        ({"up_to_on": "2999-01-01"}, "截止日期不能晚于今天"),
        ({"up_to_on": "昨天"}, ""),
    ],
)
def test_what_cannot_be_prepared_is_said_beside_the_field(
    client: MarketClient, session: Session, data: dict[str, str], words: str
) -> None:
    made = world(session)
    client.sign_in(people(made.cooperative)[0])
    asked = {
        "minimum": "10",
        "up_to_on": "2026-01-01",
        "layout": "generic_csv",
        "idempotency_key": "a-key-of-a-form-1",
    }
    answer = client.post("/payouts/prepare", data=asked | data)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert session.scalar(select(func.count()).select_from(PayoutBatch)) == 0


def test_the_printed_list_masks_names(client: MarketClient, session: Session) -> None:
    made = world(session, (5_000,))
    batch = made.prepare()
    client.sign_in(people(made.cooperative)[0])
    page = client.get(f"/payouts/{batch.public_no}/list").text
    assert made.households[0].head_name not in page
    assert "陈**" in page
    account = account_of(session, made.households[0].id)
    assert account is not None
    assert account.last_four in page


def test_a_batch_is_cancelled_by_its_cooperative(client: MarketClient, session: Session) -> None:
    made = world(session, (5_000,))
    batch = made.prepare()
    client.sign_in(people(made.cooperative)[0])
    assert client.post(f"/payouts/{batch.public_no}/cancel").status_code == 303
    assert batch.state is BatchState.CANCELLED
    assert client.post(f"/payouts/{batch.public_no}/cancel").status_code == 409
    assert Visitor(client).open(f"/payouts/{batch.public_no}").has("已撤销", "本批已撤销")


def test_another_cooperative_s_batch_is_not_found(client: MarketClient, session: Session) -> None:
    made = world(session, (5_000,))
    batch = made.prepare()
    client.sign_in(people(CooperativeFactory())[1])
    for address in ("", "/list"):
        assert client.get(f"/payouts/{batch.public_no}{address}").status_code == 404
    for address in ("/approve", "/cancel", "/file", "/results"):
        assert client.post(f"/payouts/{batch.public_no}{address}").status_code == 404
    assert batch.state is BatchState.PREPARED


def test_the_county_and_the_auditor_read_and_do_not_touch(client: MarketClient, session: Session) -> None:
    made = world(session, (5_000,))
    batch = made.prepare()
    client.sign_in(official_with(Role.COUNTY_REVIEWER))
    assert client.get(f"/payouts/{batch.public_no}").status_code == 200
    assert client.post(f"/payouts/{batch.public_no}/approve").status_code == 404
    client.sign_in(official_with(Role.AUDITOR))
    assert client.get("/payouts").status_code == 200
    assert client.get(f"/payouts/{batch.public_no}").status_code == 200
    assert client.post(f"/payouts/{batch.public_no}/file").status_code == 403
    client.sign_in(official_with(Role.OPERATOR))
    assert client.get("/payouts").status_code == 403


# --- accounts ---


def test_an_account_is_recorded_with_what_was_typed_kept(client: MarketClient, session: Session) -> None:
    made = world(session, (5_000,), accounts=False)
    (household,) = made.households
    client.sign_in(people(made.cooperative)[0])
    assert Visitor(client).open("/payouts/accounts").has("有入账、还没有收款账号", household.head_name)
    address = f"/households/{household.public_no}/bank-account"
    form = {
        "account_number": "4242424242424243",
        "holder_name": household.head_name,
        "bank_name": "农商行",
        "valid_from": "2026-01-01",
    }
    answer = client.post(address, data=form)
    assert answer.status_code == 422
    assert "银行账号的校验位不对" in answer.text
    assert 'value="农商行"' in answer.text
    assert account_of(session, household.id) is None
    number = make_account_number(77)
    assert client.post(address, data=form | {"account_number": number}).status_code == 303
    page = client.get(address).text
    assert number not in page
    assert number[-4:] in page


def test_the_whole_number_is_shown_once_for_a_reason(client: MarketClient, session: Session) -> None:
    made = world(session, (5_000,), accounts=False)
    number = make_account_number(4_321)
    made.account(made.households[0], number)
    address = f"/households/{made.households[0].public_no}/bank-account"
    client.sign_in(official_with(Role.VILLAGE_REVIEWER))
    assert number not in client.get(address).text
    assert client.post(f"{address}/reveal", data={"reason": "看"}).status_code == 422
    answer = client.post(f"{address}/reveal", data={"reason": "核对银行退票原因"})
    assert (answer.status_code, number in answer.text) == (200, True)
    assert number not in client.get(address).text
    assert Visitor(client).open(address).has("核对银行退票原因")
    client.sign_in(people(made.cooperative)[1])
    assert client.post(f"{address}/reveal", data={"reason": "核对银行退票原因"}).status_code == 403


def test_a_sheet_of_accounts_is_looked_at_and_taken(client: MarketClient, session: Session) -> None:
    made = world(session, (5_000, 6_000), accounts=False)
    first, second = made.households
    client.sign_in(people(made.cooperative)[0])
    assert client.get("/payouts/accounts/template.xlsx").data.startswith(b"PK")
    lines = [
        f"{one.registry_no},{one.head_name},{one.head_name},农商行,{number}"
        for one, number in ((first, make_account_number(1)), (second, "4242424242424243"))
    ]
    content = "\n".join(("户编号,户主姓名,开户人,开户银行,银行账号", *lines))
    answer = client.post("/payouts/accounts", data=upload(content), **MULTIPART)
    page = Visitor(client).open(answer.location)
    assert page.has("没有问题的 1 行可以登记", "第 3 行", "银行账号", "校验位不对")
    client.post(f"{answer.location}/take")
    assert account_of(session, first.id) is not None
    assert account_of(session, second.id) is None
    assert Visitor(client).open(answer.location).has("已登记", "第 3 行")
    client.sign_in(people(CooperativeFactory())[0])
    assert client.get(answer.location).status_code == 404


def test_the_pages_cost_the_same_for_many_rows(
    client: MarketClient, session: Session, page_statements: Listening
) -> None:
    made = world(session, (5_000,) * 3)
    batch = made.prepare()
    clerk = people(made.cooperative)[0]
    client.sign_in(clerk)
    addresses = ("/payouts", f"/payouts/{batch.public_no}", "/payouts/prepare", "/payouts/accounts")

    def cost() -> list[int]:
        found = []
        for address in addresses:
            client.get(address)
            with page_statements() as sent:
                assert client.get(address).status_code == 200
            found.append(len(sent))
        return found

    few = cost()
    more = world(session, (6_000,) * 6, accounts=False)
    for household in more.households[:3]:
        made.credit(household, 5_000)
    for household in made.households:
        made.credit(household, 2_000)
    assert cost() == few
