"""Every kind of page that a link of the demo leads to, opened by whom it is for, in both languages and colour schemes.

axe finds nothing against WCAG 2.2 A or AA, html-validate nothing against the standard, the browser nothing against the
content policy (the site fixture listens), no page is wider than a phone of 360 pixels, and no link is broken.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from marketplace.catalog.models import Listing, ListingState
from marketplace.identity.models import User
from tests.conftest import MarketClient
from tests.journeys.conftest import LANGUAGES, OpenPage, Site
from tests.journeys.crawl import Crawl, crawl
from tests.journeys.looking import SMALL_PHONE, faults_on, html_faults
from tests.journeys.people import Theatre, Words

pytestmark = [pytest.mark.browser, pytest.mark.databases("sqlite"), pytest.mark.timeout(1200)]


FOUND_IN = "zh_CN"  # the language of the crawl: nobody has chosen another
BUYERS = ("staff", "orderer")  # have something in the cart, so that there is something to check out


@pytest.fixture
def pages(app: Flask, session: Session) -> Crawl:
    """The pages of a loaded demo."""
    run = app.test_cli_runner().invoke
    done = run(args=["demo", "load", "--scale", "tiny", "--seed", "7"])
    assert done.exit_code == 0, done.output
    assert run(args=["search", "build"]).exit_code == 0
    listing_no = session.scalars(
        select(Listing.public_no).where(Listing.state == ListingState.PUBLISHED)
    ).first()
    for name in BUYERS:
        client = app.test_client()
        assert isinstance(client, MarketClient)
        client.session = session
        client.sign_in(session.scalars(select(User).where(User.login_name == name)).one())
        assert client.post(f"/cart/{listing_no}", data={"quantity": "2"}).status_code == 303
    return crawl(app, session)


def test_every_page_is_for_everybody(
    pages: Crawl, site: Site, open_page: OpenPage, session: Session, tmp_path: Path
) -> None:
    assert not pages.broken, "\n".join(pages.broken)
    assert len(pages.stops) > 150
    faults = []
    for language in LANGUAGES:
        session.execute(update(User).values(locale=language))
        session.commit()
        stops = pages.stops if language == FOUND_IN else pages.read_in(language)
        faults += html_faults({f"{stop.who} {stop.path}": stop.html for stop in stops}, tmp_path / language)
        theatre = Theatre(open_page, Words(language), SMALL_PHONE)
        for who, theirs in groupby(stops, key=lambda stop: stop.who):
            person = theatre.enter(who)
            if who in pages.cookies:
                cookie = {"name": "session", "value": pages.cookies[who], "url": site.url}
                person.page.context.add_cookies([cookie])  # type: ignore[list-item]
            faults += faults_on(person, [stop.path for stop in theirs])
            person.leaves()
    assert not faults, "\n".join(faults)
