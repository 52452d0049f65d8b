"""Help: a guide for each role in both languages, true to the words of the site, and the first steps on the desk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import select

from marketplace.core import clock as clocks
from marketplace.core.errors import NotFound
from marketplace.identity.access import PUBLIC, SIGNED_IN
from marketplace.identity.guides.queries import FOLDER, read_guide
from marketplace.identity.guides.tours import TOURS
from marketplace.identity.models import Role, User
from marketplace.identity.permissions import ROLE_PERMISSIONS
from tests.factories.identity import official_with
from tests.tidy.test_translations import catalogue

TOP = Path(__file__).resolve().parents[2]
GUIDES = sorted(FOLDER.glob("*/*.md"))
LABEL = re.compile(r"\*\*(.+?)\*\*")
PICTURE = re.compile(r"!\[[^]]+\]\((\S+)\)")
FIRST_VISIT = "第一次来？从这三步开始"


def name_of(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


def test_every_role_has_a_guide_in_both_languages():
    wanted = {f"{language}/{role.value}.md" for language in ("zh", "en") for role in Role}
    assert {name_of(path) for path in GUIDES} == wanted


def test_guides_name_buttons_and_pages_as_the_site_does():
    texts = [
        (message.id, message.string) if isinstance(message.id, str) else (message.id[0], message.string[0])
        for message in catalogue()
        if message.id
    ]
    known = {"zh": {text[0] for text in texts}, "en": {text[1] for text in texts}}
    named = {path: set(LABEL.findall(path.read_text(encoding="utf-8"))) for path in GUIDES}
    unknown = {name_of(path): labels - known[path.parent.name] for path, labels in named.items()}
    assert {name: labels for name, labels in unknown.items() if labels} == {}


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_a_guide_has_pictures_that_exist_and_are_small(path):
    pictures = [path.parent / link for link in PICTURE.findall(path.read_text(encoding="utf-8"))]
    assert pictures
    assert all(picture.resolve().is_relative_to(TOP / "static/guide") for picture in pictures)
    assert [picture for picture in pictures if not picture.is_file()] == []
    assert max(picture.stat().st_size for picture in pictures) < 60 * 1024


@pytest.mark.parametrize("role", list(Role))
def test_both_languages_of_a_guide_have_the_same_parts(role):
    outlines = [
        [line.split(" ")[0] for line in (FOLDER / language / f"{role.value}.md").read_text().splitlines()]
        for language in ("zh", "en")
    ]
    headings = [[mark for mark in outline if mark in {"#", "##"}] for outline in outlines]
    assert headings[0] == headings[1]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("locale", ["zh_CN", "en"])
def test_every_guide_is_a_page_of_the_site(client, locale):
    client.set_cookie("lang", locale)
    for role in Role:
        page = client.get(f"/help/{role.value}")
        assert page.status_code == 200
        assert page.text.count("<h1>") == 1
        assert '<img src="/static/guide/' in page.text
        assert 'aria-current="page"' in page.text


def test_what_stands_in_a_guide_is_never_taken_for_tags(tmp_path):
    folder = tmp_path / "zh"
    folder.mkdir()
    (folder / "auditor.md").write_text("# 指南\n\n<script>alert(1)</script> [点我](javascript:alert(1))\n")
    html = read_guide(Role.AUDITOR, "zh_CN", address_of=str, folder=tmp_path).html
    assert "<script" not in html
    assert "href" not in html
    with pytest.raises(NotFound):
        read_guide(Role.OPERATOR, "zh_CN", address_of=str, folder=tmp_path)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", ["nobody", "..", "auditor.md", "x" * 300])
def test_a_guide_that_does_not_exist_is_not_found(client, name):
    assert client.get(f"/help/{name}").status_code == 404


@pytest.mark.databases("sqlite")
def test_help_on_each_page_leads_to_the_readers_own_guide(client):
    assert 'href="/help"' in client.get("/").text
    assert client.get("/help").location == "/help/staff_buyer"
    client.sign_in(official_with(Role.AUDITOR))
    assert 'href="/help"' in client.get("/desk").text
    assert client.get("/help").location == "/help/auditor"


@pytest.mark.databases("sqlite")
def test_every_role_has_three_first_steps_that_lead_to_pages_it_may_open(app):
    assert set(TOURS) == set(Role)
    for role, steps in TOURS.items():
        assert len(steps) == 3, role
        for step in steps:
            access = app.view_functions[step.endpoint].access
            assert access in {PUBLIC, SIGNED_IN} or access & ROLE_PERMISSIONS[role], step


def test_first_steps_are_shown_until_they_are_put_away_for_good(client, session, clock):
    user = official_with(Role.AUDITOR)
    client.sign_in(user)
    assert FIRST_VISIT in client.get("/desk").text
    answer = client.post("/help/first-steps/put-away", follow_redirects=True)
    assert FIRST_VISIT not in answer.text
    assert user.tour_put_away_at == clocks.now()
    clock.advance(days=1)
    client.post("/help/first-steps/put-away")
    assert session.scalars(select(User.tour_put_away_at).where(User.id == user.id)).one() < clocks.now()
    assert FIRST_VISIT not in client.get("/desk").text
    assert "追一笔钱" in client.get("/help/auditor").text  # still to be read in the guide


def test_a_stranger_has_no_first_steps_to_put_away(client, session):
    assert client.post("/help/first-steps/put-away").status_code == 302
    assert session.scalars(select(User).where(User.tour_put_away_at.is_not(None))).all() == []
