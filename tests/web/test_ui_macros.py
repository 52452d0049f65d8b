"""The macros every page is written with: what they print, and that they are safe and usable without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask, render_template_string, url_for
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFProtect
from flask_wtf.file import FileField
from wtforms import BooleanField, RadioField, SelectChoice, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired

from marketplace.web import assets, errors, filters, headers, locale, scheme, style
from marketplace.web.forms import OnceForm
from marketplace.web.paging import Page
from marketplace.web.tasks import Task

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture
def pages() -> Iterator[Flask]:
    """The web room alone, with no capability above it: base.html must stand on its own."""
    app = Flask("marketplace", template_folder=str(TOP / "templates"), static_folder=str(TOP / "static"))
    app.config.update(SECRET_KEY="tests", TESTING=True)
    assets.init_assets(app)
    locale.init_locale(app)
    scheme.init_scheme(app)
    filters.init_filters(app)
    headers.init_headers(app, card_pages="https://checkout.test")
    errors.init_errors(app)
    CSRFProtect(app)
    app.register_blueprint(style.bp)
    return app


def shown(app: Flask, family: str, names: str, body: str, /, path: str = "/", **values: object) -> str:
    """`body` rendered with `names` of templates/ui/`family`.html, whitespace squeezed."""
    with app.test_request_context(path):
        text = render_template_string(f'{{% from "ui/{family}.html" import {names} %}}{body}', **values)
    return re.sub(r"\s+", " ", text).strip()


class SampleForm(OnceForm):
    name = StringField("名称", [InputRequired("请填写这一项")])
    story = TextAreaField("说明")
    kind = SelectField("类别", choices=[SelectChoice("tea", "茶叶")])
    way = RadioField("付款方式", choices=[SelectChoice("card", "银行卡"), SelectChoice("bank", "转账")])
    photo = FileField("照片")
    agreed = BooleanField("我已核对")


class PlainForm(FlaskForm):
    name = StringField("名称")


@pytest.mark.parametrize(
    ("fen", "options", "words"),
    [
        (128_050, "", "¥1,280.50"),
        (0, "", "¥0.00"),
        (-3_000, "", "−¥30.00"),
        (128_050, ", sign=true", "+¥1,280.50"),
        (0, ", sign=true", "¥0.00"),
        (None, "", "—"),
    ],
)
def test_money_is_written_with_its_sign_before_a_thin_yen(pages, fen, options, words):
    html = shown(pages, "value", "money", "{{ money(fen" + options + ") }}", fen=fen)
    assert re.sub(r"<[^>]+>|\s", "", html) == words


def test_a_person_is_masked_unless_the_page_is_their_own(pages):
    assert "刘**" in shown(pages, "value", "person", '{{ person("刘小红") }}')
    assert "刘小红" not in shown(pages, "value", "person", '{{ person("刘小红") }}')
    assert "刘小红" in shown(pages, "value", "person", '{{ person("刘小红", own=true) }}')


def test_instants_are_shown_in_shanghai_and_days_as_they_are(pages):
    at = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)
    assert "2026年11月21日 00:30" in shown(pages, "value", "moment_of", "{{ moment_of(at) }}", at=at)
    assert "2026年11月21日" in shown(pages, "value", "day_of", "{{ day_of(at) }}", at=at)
    assert "2026年11月20日" in shown(pages, "value", "day_of", "{{ day_of(on) }}", on=date(2026, 11, 20))


def test_what_people_typed_is_escaped(pages):
    html = shown(pages, "page", "page_header", "{{ page_header(title) }}", title="<script>alert(1)</script>")
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_cell_carries_its_column_for_the_cards_of_a_phone(pages):
    body = """{% call(c) table({"name": "户主", "income": "收入", "act": ""}, numeric=["income"]) %}
    <tr>{{ cell(c.name, "刘小红") }}{{ cell(c.income, 5) }}
    {% call cell(c.act) %}<a href="/h">查看</a>{% endcall %}</tr>{% endcall %}"""
    html = shown(pages, "table", "table, cell", body)
    assert '<td data-label="收入" class="numeric"><div class="cell">5</div></td>' in html
    assert '<td data-label="" class=" acts"><div class="cell"><a href="/h">查看</a></div></td>' in html
    assert '<th scope="col" class="numeric">收入</th>' in html


def test_zero_is_a_value_and_nothing_is_a_dash(pages):
    assert ">0<" in shown(pages, "table", "cell", '{{ cell({"label": "箱"}, 0) }}')
    assert "—" in shown(pages, "table", "cell", '{{ cell({"label": "箱"}, none) }}')


def test_turning_a_page_keeps_the_other_arguments_and_nothing_of_the_addresses_machinery(pages):
    page = Page(rows=[], number=2, size=20, total=50)
    address = "/products?category=tea&category=oil&page=2&_external=1&_scheme=javascript"
    html = shown(pages, "table", "pagination", "{{ pagination(page) }}", path=address, page=page)
    links = re.findall(r'href="([^"]*)"', html)
    assert (
        "/products?category=tea&amp;category=oil&amp;_external=1&amp;_scheme=javascript&amp;page=3" in links
    )
    assert all(link.startswith("/products?") for link in links)


def test_one_page_needs_no_page_links(pages):
    html = shown(
        pages, "table", "pagination", "{{ pagination(page) }}", page=Page(rows=[], number=1, size=20, total=3)
    )
    assert "href" not in html
    assert "共 3 条" in html


def test_a_long_list_names_its_first_last_and_near_pages(pages):
    page = Page(rows=[], number=5, size=20, total=200)
    html = shown(pages, "table", "pagination", "{{ pagination(page) }}", page=page)
    assert re.findall(r">(\d+|…)</", html) == ["1", "…", "4", "5", "6", "…", "10"]


def test_a_form_carries_token_key_and_enctype_once(pages):
    visible = "{% for one in form if one.widget.input_type != 'hidden' %}{{ field(one) }}{% endfor %}"
    body = "{% call form_box(form) %}" + visible + "{% endcall %}"
    with pages.test_request_context("/"):
        form = SampleForm()
        html = render_template_string('{% from "ui/form.html" import form_box, field %}' + body, form=form)
    assert html.count('name="csrf_token"') == 1
    assert html.count('name="idempotency_key"') == 1
    assert html.count('enctype="multipart/form-data"') == 1
    assert html.count("<textarea") == html.count("<select") == 1
    assert html.count('type="radio"') == 2
    assert html.count('type="checkbox"') == 1


def test_a_search_form_carries_no_token(pages):
    html = shown(pages, "form", "form_box", '{% call form_box(method="get") %}{% endcall %}')
    assert "csrf_token" not in html


def test_an_error_stands_beside_its_field_and_in_the_summary_with_a_link(pages):
    with pages.test_request_context("/", method="POST", data={"story": "<b>typed</b>"}):
        form = SampleForm(meta={"csrf": False})
        assert not form.validate()
        form.form_errors.append("这份合同已经结束")
        html = render_template_string(
            '{% from "ui/form.html" import form_box, field %}'
            "{% call form_box(form) %}{{ field(form.name, help='写全名') }}{{ field(form.story) }}{% endcall %}",
            form=form,
        )
    assert '<a href="#name">名称</a>：请填写这一项' in html
    assert "<li>这份合同已经结束</li>" in html
    assert 'id="name-error">请填写这一项</p>' in html
    assert 'aria-describedby="name-help name-error"' in html
    assert 'aria-invalid="true"' in html
    assert "&lt;b&gt;typed&lt;/b&gt;" in html


def test_what_need_not_be_filled_in_says_so(pages):
    with pages.test_request_context("/"):
        html = render_template_string(
            '{% from "ui/form.html" import field %}'
            "{{ field(form.name) }}|{{ field(form.story) }}|{{ field(form.kind) }}",
            form=SampleForm(),
        )
    name, story, kind = html.split("|")
    assert ("选填" in name, "选填" in story, "选填" in kind) == (False, True, False)


def test_asking_before_acting_works_without_scripts(pages):
    html = shown(
        pages, "action", "confirm", '{{ confirm("退回", "/x", title="确定？", values={"step": 2}) }}'
    )
    assert html.startswith("<details")
    assert '<form class="confirm-box" method="post" action="/x"' in html
    assert html.count('name="csrf_token"') == 1
    assert '<input type="hidden" name="step" value="2">' in html
    assert re.search(r"<button[^>]*data-close hidden>", html)


@pytest.mark.parametrize(
    ("current", "stopped", "states"),
    [(0, False, "now next next"), (2, True, "done done stopped"), (3, False, "done done done")],
)
def test_steps_are_done_under_way_or_ahead(pages, current, stopped, states):
    html = shown(
        pages,
        "status",
        "stepper",
        "{{ stepper(['提交', '批准', '发货'], current, stopped=stopped) }}",
        current=current,
        stopped=stopped,
    )
    assert " ".join(re.findall(r'class="step step-(\w+)"', html)) == states


def test_only_what_waits_is_named_as_a_task(pages):
    tasks = [
        Task("%(count)s 个订单待确认", 3, "style.style", {"state": "new"}),
        Task("%(count)s 张过磅单", 0, "style.style"),
    ]
    html = shown(pages, "status", "task_list", "{{ task_list(tasks) }}", tasks=tasks)
    assert 'href="/style?state=new"' in html
    assert "过磅单" not in html
    assert "今天没有要办的事" in shown(pages, "status", "task_list", "{{ task_list([]) }}")


def test_a_facet_goes_in_and_out_and_returns_to_the_first_page(pages):
    options = [{"value": "tea", "label": "茶叶", "count": 0}, {"value": "oil", "label": "油茶"}]
    html = shown(
        pages,
        "shop",
        "facet",
        "{{ facet('类别', 'category', options) }}",
        path="/products?q=%E8%8C%B6&category=tea&page=4",
        options=options,
    )
    tea, oil = re.findall(r'href="([^"]*)"', html)
    assert tea == "/products?q=%E8%8C%B6"
    assert oil == "/products?q=%E8%8C%B6&amp;category=tea&amp;category=oil"
    assert html.count('aria-current="true"') == 1


def test_the_language_switch_posts_and_comes_back_to_this_page(pages):
    pages.add_url_rule("/language", "identity.switch_language", lambda: "", methods=["POST"])
    html = shown(
        pages,
        "nav",
        "language_switch",
        "{{ language_switch({'zh_CN': '中文', 'en': 'English'}, 'zh_CN') }}",
        path="/products?q=tea",
    )
    assert 'method="post" action="/language"' in html
    assert 'name="next" value="/products?q=tea"' in html
    assert re.findall(r'name="locale" value="(\w+)"', html) == ["en"]


def test_the_colour_switch_posts_and_marks_what_is_in_use(pages):
    pages.add_url_rule("/scheme", "identity.switch_scheme", lambda: "", methods=["POST"])
    html = shown(
        pages,
        "nav",
        "scheme_switch",
        "{{ scheme_switch(schemes, 'dark') }}",
        path="/products?q=tea",
        schemes=scheme.SCHEMES,
    )
    assert 'method="post" action="/scheme"' in html
    assert 'name="next" value="/products?q=tea"' in html
    assert re.findall(r'value="(\w+)" aria-pressed="true"', html) == ["dark"]
    assert re.findall(r'value="(\w+)" aria-pressed="false"', html) == ["auto", "light"]


def test_an_icon_is_a_shape_of_the_page_and_an_unknown_one_is_nothing(pages):
    assert shown(pages, "page", "icon", "{{ icon('printer') }}").startswith('<svg class="icon"')
    assert shown(pages, "page", "icon", "{{ icon('no-such-icon') }}{{ icon(none) }}") == ""


def test_the_style_page_shows_every_part_and_passes_the_policy(pages):
    answer = pages.test_client().get("/style")
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    for name in style.PARTS:
        assert f'id="{name}"' in answer.text
    without_sources = re.sub(r"<pre>.*?</pre>", "", answer.text, flags=re.DOTALL)
    assert not re.search(r"<style|\sstyle=|\son\w+=", without_sources)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", without_sources))


def test_a_fault_is_a_page_with_a_way_on(pages):
    answer = pages.test_client().get("/nowhere")
    assert answer.status_code == 404
    assert "没有找到" in answer.text
    assert 'href="/products"' in answer.text


def test_the_frame_names_who_is_signed_in_and_where_they_may_go(pages):
    person = SimpleNamespace(
        is_authenticated=True, display_name="曾广福", organisation=SimpleNamespace(name="莲香合作社")
    )
    items = [{"label": f"栏目{n}", "url": f"/{n}", "active": n == 1, "count": 0} for n in range(6)]
    pages.context_processor(lambda: {"current_user": person, "nav_items": items, "cart_count": 2})
    pages.add_url_rule("/sign-out", "identity.sign_out", lambda: "", methods=["POST"])
    html = pages.test_client().get("/nowhere").text
    assert html.count("莲香合作社") == 2
    assert html.count('action="/sign-out"') == 2
    assert html.count('aria-current="page"') == 2
    assert 'class="tab-bar"' in html


def test_style_sheets_and_scripts_named_by_the_frame_exist(pages):
    html = pages.test_client().get("/style").text
    with pages.test_request_context():
        own = [url for url in re.findall(r'(?:href|src)="(/static/[^"]+)"', html) if "/vendor/" not in url]
        assert url_for("static", filename="js/site.js") in own
    missing = [url for url in own if not (TOP / url.removeprefix("/").split("?")[0]).exists()]
    assert missing == []
