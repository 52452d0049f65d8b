"""A year of linkage in browsers: slips and attendance on a telephone, a closed year, a slip with its public check, a
refund after settlement, and a payout that fails once. Once on a phone in each language, once at a desk.

Arranged beforehand is what the journey does not play: the cooperative with ten households, their agreements, last
year's sale and rents, and the accounts.
"""

from __future__ import annotations

import socket
import sys

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from config import Settings
from marketplace.payments.stripe_emulator.server import EmulatorServer
from tests.journeys import buyers, cooperative, story, year, year_closing, year_evidence, year_money
from tests.journeys.conftest import DESK, PHONE, OpenPage, paid_on_line
from tests.journeys.people import Theatre, Words
from tests.journeys.year import Ground

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
MOST_INTERACTIONS = 60


@pytest.fixture
def settings(settings: Settings, door: socket.socket, provider: EmulatorServer) -> Settings:
    return paid_on_line(settings, door, provider)


@pytest.fixture
def ground(session: Session, app: Flask) -> Ground:
    laid = year.lay_ground(session)
    session.commit()
    assert app.test_cli_runner().invoke(args=["search", "build"]).exit_code == 0
    return laid


@pytest.fixture
def theatre(
    open_page: OpenPage, session: Session, ground: Ground, language: str, size: tuple[int, int]
) -> Theatre:
    for user in ground.users.values():
        user.locale = language
    session.commit()
    return Theatre(open_page, Words(language), size)


def record_evidence(theatre: Theatre, logins: dict[str, str]) -> int:
    """Scene one; how many interactions it took."""
    clerk = theatre.sign_in("clerk", logins["clerk"])
    before = clerk.interactions
    year_evidence.weigh_ten_slips(clerk)
    year_evidence.take_attendance(clerk, absent=year.WORKING[3], early=year.WORKING[1])
    taken = clerk.interactions - before
    clerk.leaves()
    return taken


def close_last_year(theatre: Theatre, logins: dict[str, str]) -> None:
    """Scene two."""
    clerk = theatre.sign_in("clerk", logins["clerk"])
    year_closing.prepare(clerk)
    clerk.leaves()
    manager = theatre.sign_in("manager", logins["manager"])
    year_closing.confirm(manager)
    manager.leaves()


def show_slip(theatre: Theatre, logins: dict[str, str], ground: Ground) -> None:
    """What the household finds of scene two, and scene three."""
    household = theatre.sign_in("household", logins["household"])
    year_closing.see_top_up(household)
    address = year_closing.issue_slip(household)
    household.leaves()
    year_closing.check_slip(theatre, address, ground.households[year.FIRST])


def give_some_back(theatre: Theatre, logins: dict[str, str]) -> None:
    """The sale and the refund of scene four."""
    cadre = theatre.sign_in("cadre", logins["cadre"])
    year_money.buy(cadre)
    manager = theatre.sign_in("manager", logins["manager"])
    cooperative.send(manager, manager.words("个人订单"), story.Sale(year.BOUGHT, year.PRICE_FEN))
    buyers.receive_and_accept(cadre)
    year_money.ask_some_back(cadre)
    cadre.leaves()
    year_money.agree(manager)
    manager.leaves()
    household = theatre.sign_in("household", logins["household"])
    year_money.see_reversal(household)
    household.leaves()


def pay_out(theatre: Theatre, logins: dict[str, str]) -> None:
    """The payout of scene four."""
    clerk, manager = (theatre.sign_in(name, logins[name]) for name in ("clerk", "manager"))
    year_money.prepare_batch(clerk, households=2)
    answer = year_money.answer_of(year_money.approve_batch(manager), refused=year.SECOND)
    year_money.import_answer(clerk, answer, refused=year.SECOND)
    year_money.correct_account(clerk, year.SECOND)
    year_money.prepare_batch(clerk, households=1)
    for person in (clerk, manager):
        person.leaves()


def books_agree(app: Flask, session: Session) -> None:
    """The ledger holds together, and everything comes out the same when it is derived again."""
    session.rollback()
    for command, words in (("ledger verify", "全部相符"), ("audit recompute", "全部一致")):
        done = app.test_cli_runner().invoke(args=command.split())
        assert done.exit_code == 0, done.output
        assert words in done.output


def play_the_year(theatre: Theatre, ground: Ground) -> None:
    """All scenes in order."""
    logins = {name: user.login_name for name, user in ground.users.items()}
    taken = record_evidence(theatre, logins)
    sys.stdout.write(f"ten slips and a day's attendance: {taken} interactions\n")
    assert taken < MOST_INTERACTIONS
    close_last_year(theatre, logins)
    show_slip(theatre, logins, ground)
    give_some_back(theatre, logins)
    pay_out(theatre, logins)


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize(("language", "size"), [("zh_CN", PHONE)])
def test_the_year_on_a_phone_in_chinese(
    theatre: Theatre, app: Flask, session: Session, ground: Ground
) -> None:
    play_the_year(theatre, ground)
    books_agree(app, session)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("language", "size"), [("en", PHONE)])
def test_the_year_on_a_phone_in_english(
    theatre: Theatre, app: Flask, session: Session, ground: Ground
) -> None:
    play_the_year(theatre, ground)
    books_agree(app, session)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("language", "size"), [("zh_CN", DESK)])
def test_the_year_at_a_desk(theatre: Theatre, app: Flask, session: Session, ground: Ground) -> None:
    play_the_year(theatre, ground)
    books_agree(app, session)
