"""What the clerk of a village and the households do in the main job, and the county's reviewer of certificates."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.journeys import story
from tests.journeys.people import Person, Theatre, fen, yuan

LOGIN_NAME, OWN_PASSWORD = "luo.chunsheng", "mountain-springs-88"


def vouch_for_the_first(clerk: Person) -> None:
    """Acknowledge the enrolment of a household that cannot do so itself, with the reason."""
    clerk.takes_up("%(count)s 户待确认加入合作社", count=2)
    clerk.follows("办理", within=clerk.row(story.FIRST))
    clerk.types("原因", "户主不会用手机，今天入户当面确认")
    clerk.presses("代农户确认加入")
    clerk.reads(story.SECOND)  # the next one that waits


def open_account_of_the_second(clerk: Person) -> str:
    """Open the other household's account; its first password is shown once."""
    clerk.goes_to("农户名单")
    clerk.follows_text(story.SECOND)
    clerk.follows("开通农户账号")
    clerk.types("登录名", LOGIN_NAME)
    clerk.presses("开通账号")
    label = clerk.page.get_by_text(clerk.words("临时密码"), exact=True)
    return clerk.page.locator(".fact", has=label).locator("dd .code > span").inner_text()


def settle_in(theatre: Theatre, password: str) -> Person:
    """The household signs in, takes a password of its own, and reads in its language."""
    household = theatre.enter("household")
    household.opens("/sign-in")
    household.types("登录名", LOGIN_NAME)
    household.types("密码", password)
    household.presses("登录", within=household.page.locator("main"))
    if theatre.words.language != "zh_CN":  # a new account speaks Chinese
        household.clicks(household.page.locator("main").get_by_role("button", name="English"))
    household.sees("您正在使用临时密码。请先换成自己的密码，再继续使用。")
    household.types("当前密码", password)
    household.types("新密码", OWN_PASSWORD)
    household.types("再输入一次新密码", OWN_PASSWORD)
    household.presses("修改密码")
    household.sees("密码已更新，其他设备已退出登录")
    return household


def say_yes(household: Person) -> None:
    """The household acknowledges its own enrolment."""
    household.takes_up("%(count)s 个合作社请您确认是否加入", count=1)
    household.presses("我家加入")
    expect(household.page.get_by_text(household.words("已确认"), exact=True)).to_be_visible()


def pass_certificate(reviewer: Person) -> None:
    """The county looks at the certificate and passes it."""
    reviewer.takes_up("%(count)s 件申请等您审核", count=1)
    reviewer.follows("办理", within=reviewer.row(story.PRODUCT))
    reviewer.reads(story.certificate_no().replace("LB-18-", ""), story.PRODUCT)
    reviewer.sees("江西")
    reviewer.ticks("通过，进入下一步")
    reviewer.types("审核意见", "编号与证书原件一致")
    reviewer.presses("提交结论")
    reviewer.sees("没有等您办理的审核")


def see_income(household: Person) -> None:
    """Both sales, each mechanism to the fen, and the statement as it is printed."""
    income = story.income_fen(story.SECOND)
    household.goes_to("我的收入")
    household.reads(yuan(sum(income.values())), yuan(income["contract"]), yuan(income["lease"]))
    for sale in story.SALES:
        for credit in (sale.contract_credits_fen[story.SECOND], sale.lease_credits_fen[story.SECOND]):
            assert fen(household.row(story.PRODUCT, yuan(credit)).inner_text()) == credit
    household.sees("学校食堂")
    household.follows("打印对账单")
    household.reads(yuan(sum(income.values())), story.SECOND)
    expect(household.page.get_by_role("button", name=household.words("打印"), exact=True)).to_be_visible()
    household.page.emulate_media(media="print")
    expect(household.page.locator(".site-head")).to_be_hidden()
    household.reads(yuan(sum(income.values())))
    household.keeps_picture("printed")
    household.page.emulate_media(media="screen")
