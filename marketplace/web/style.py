"""The living page of every component, at /style in development.

Each part is a small template that uses the macros as a page would; the page shows what it renders and its source.
The people and goods in the samples are invented. The macros themselves live in templates/ui.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Blueprint, current_app, flash, render_template
from flask_babel import gettext as _, lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import (
    BooleanField,
    DateField,
    PasswordField,
    RadioField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length

from marketplace.core.labels import N_
from marketplace.web.forms import OnceForm
from marketplace.web.paging import Page

bp = Blueprint("style", __name__)

PARTS = {
    "colours": N_("颜色与字"),
    "headers": N_("页面开头"),
    "buttons": N_("按钮与确认"),
    "figures": N_("数字与卡片"),
    "tasks": N_("待办与状态"),
    "tables": N_("表格"),
    "forms": N_("表单"),
    "shop": N_("选购"),
    "empty": N_("空页面与提示"),
    "paper": N_("打印"),
}


@dataclass(frozen=True)
class Part:
    """One family of components: its anchor, its title and the source of its sample."""

    name: str
    title: str
    source: str

    @property
    def template(self) -> str:
        """The template that shows it."""
        return f"style/{self.name}.html"


class SampleForm(OnceForm):
    """One field of each kind."""

    name = StringField(_l("产品名称"), [InputRequired(_l("请填写这一项")), Length(max=60)])
    price = StringField(_l("单价"), [InputRequired(_l("请填写这一项"))], render_kw={"inputmode": "decimal"})
    mass = StringField(_l("净重"), render_kw={"inputmode": "decimal"})
    category = SelectField(
        _l("类别"),
        choices=[
            SelectChoice("fruit", _l("果业")),
            SelectChoice("tea", _l("茶叶")),
            SelectChoice("oil", _l("油茶")),
        ],
    )
    made_on = DateField(_l("采收日期"), [InputRequired(_l("请填写这一项"))])
    password = PasswordField(_l("密码"))
    story = TextAreaField(_l("产品说明"), [Length(max=500)])
    channel = RadioField(
        _l("付款方式"),
        choices=[SelectChoice("card", _l("银行卡")), SelectChoice("bank", _l("对公转账"))],
        default="bank",
    )
    photo = FileField(_l("产品照片"))
    agreed = BooleanField(_l("我已核对以上内容与合同一致"), [InputRequired(_l("请勾选后再提交"))])


class ReasonForm(FlaskForm):
    """What a confirmation may ask for."""

    reason = TextAreaField(_l("原因"), [InputRequired(_l("请写明原因"))])


def samples() -> dict[str, object]:
    """Invented rows for the samples."""
    names = ("刘小红", "曾广福", "谢桂英", "罗金水")
    villages = ("乐安县牛田镇流坑村", "莲花县坊楼镇沿背村", "上犹县梅水乡园村", "遂川县汤湖镇高塘村")
    kinds = ("订单生产", "土地流转", "就业务工", "订单生产")
    incomes = (128_050, 1_506_600, 98_000, 5)
    rows = [
        {"name": name, "village": village, "kind": kind, "income_fen": income, "mass_g": 12_500 * (i + 1)}
        for i, (name, village, kind, income) in enumerate(zip(names, villages, kinds, incomes, strict=True))
    ]
    products = (
        (
            "赣南脐橙 80—85 毫米",
            "安远县三百山果业合作社",
            "安远县",
            6_880,
            "箱（5 千克）",
            "绿色食品",
            "good",
        ),
        ("广昌白莲 通芯手工", "广昌县莲香合作社", "广昌县", 4_500, "袋（500 克）", "绿色食品", "good"),
        ("物理压榨山茶油", "上犹县油茶合作社", "上犹县", 16_800, "桶（2.5 升）", "即将售完", "attention"),
        ("宁红工夫红茶 一级", "修水县宁红茶合作社", "修水县", 12_600, "罐（250 克）", "", ""),
    )
    return {"rows": rows, "products": products, "at": datetime(2026, 11, 20, 6, 32, tzinfo=UTC)}


def _parts() -> list[Part]:
    loader = current_app.jinja_env
    assert loader.loader is not None
    return [
        Part(name, _(title), loader.loader.get_source(loader, f"style/{name}.html")[0].strip())
        for name, title in PARTS.items()
    ]


@bp.get("/style")
def style() -> str:
    """Every component, with the source of its sample."""
    flash(_("已保存，下一步请等待县级审核"), "success")
    flash(_("证书将在 30 天后到期，请尽快续展"), "warning")
    wrong = SampleForm(data={"price": "12.345", "category": "tea"}, meta={"csrf": False})
    wrong.validate()
    wrong.idempotency_key.errors = []
    wrong.price.errors = [_("金额最多两位小数")]
    return render_template(
        "style.html",
        parts=_parts(),
        form=SampleForm(),
        wrong=wrong,
        reason=ReasonForm(),
        page=Page(rows=[], number=3, size=20, total=186),
        **samples(),
    )


style.access = "public"  # type: ignore[attr-defined]  # identity's mark, which this lower room may not import
