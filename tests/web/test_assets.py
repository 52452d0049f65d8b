"""Files are compressed, kept by browsers for as long as they stay the same, and never found outside of static/."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest
from flask import Flask, url_for

from marketplace.web.assets import find_asset, init_assets

GZIP = {"Accept-Encoding": "gzip, br"}
STYLE = "body { color: black }\n" * 50
TOP = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "page.css").write_text(STYLE, encoding="utf-8")
    (folder / "tiny.js").write_text("1", encoding="utf-8")
    (folder / "photo.webp").write_bytes(bytes(2_000))
    (tmp_path / "secret.css").write_text(STYLE, encoding="utf-8")
    return folder


@pytest.fixture
def site(root: Path) -> Flask:
    app = Flask("site", static_folder=str(root), static_url_path="/static")
    init_assets(app)
    return app


def address(site: Flask, name: str) -> str:
    with site.test_request_context():
        return url_for("static", filename=name)


def test_a_style_sheet_is_compressed_and_kept_for_a_year(site):
    with site.test_client().get(address(site, "page.css"), headers=GZIP) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.mimetype == "text/css"
        assert answer.cache_control.max_age == 365 * 24 * 3600
        assert answer.cache_control.immutable
        assert gzip.decompress(answer.data).decode() == STYLE


def test_who_cannot_unpack_gets_the_file_as_it_is(site):
    with site.test_client().get(address(site, "page.css")) as answer:
        assert "Content-Encoding" not in answer.headers
        assert answer.text == STYLE


@pytest.mark.parametrize("name", ["tiny.js", "photo.webp"])
def test_what_would_not_get_smaller_is_sent_as_it_is(site, root, name):
    with site.test_client().get(address(site, name), headers=GZIP) as answer:
        assert "Content-Encoding" not in answer.headers
        assert answer.data == (root / name).read_bytes()


def test_a_part_of_a_file_is_a_part_of_what_it_holds(site):
    with site.test_client().get(address(site, "page.css"), headers={**GZIP, "Range": "bytes=0-3"}) as answer:
        assert answer.status_code == 206
        assert answer.data == b"body"


def test_an_unchanged_file_is_not_sent_again(site):
    browser = site.test_client()
    with browser.get("/static/page.css", headers=GZIP) as first:
        assert first.cache_control.max_age is None
    with browser.get("/static/page.css", headers={**GZIP, "If-None-Match": first.headers["ETag"]}) as second:
        assert second.status_code == 304


def test_a_changed_file_has_another_address_and_the_old_one_is_not_kept(site, root):
    before = address(site, "page.css")
    (root / "page.css").write_text(STYLE.replace("black", "green"), encoding="utf-8")
    os.utime(root / "page.css", ns=(1, 1))
    assert address(site, "page.css") != before
    with site.test_client().get(before, headers=GZIP) as answer:
        assert answer.cache_control.max_age is None
        assert "green" in gzip.decompress(answer.data).decode()


@pytest.mark.parametrize("name", ["../secret.css", "none.css", "", "/etc/passwd"])
def test_what_is_not_there_is_not_found(site, root, name):
    assert find_asset(root, name) is None
    assert site.test_client().get(f"/static/{name}", follow_redirects=True).status_code == 404


@pytest.mark.databases("sqlite")
def test_the_first_page_and_all_it_needs_stay_under_200_kb(app, client):
    page = client.get("/")
    links = re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js|svg|woff2)[^"]*)"', page.text)
    assert len(links) > 10
    weight = len(page.data)
    for link in set(links):
        with client.get(link.replace("&amp;", "&"), headers=GZIP) as answer:
            assert answer.status_code == 200, link
            weight += len(answer.data)
    assert weight < 200 * 1024
