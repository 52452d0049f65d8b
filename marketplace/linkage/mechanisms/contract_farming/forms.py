"""Terms of a contract, and a weigh slip, as people type them."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import DateField, IntegerField, StringField
from wtforms.validators import InputRequired, Length, Optional

from marketplace.core.clock import today
from marketplace.linkage.fields import KgField, YuanField
from marketplace.linkage.forms import DAY, DOCUMENTS, REQUIRED, AgreementForm
from marketplace.linkage.mechanisms.contract_farming.models import USUAL_GRADES

DECIMAL = {"inputmode": "decimal", "autocomplete": "off"}


class ContractForm(AgreementForm):
    """A contract over one commodity."""

    commodity = StringField(_l("收购品种"), [REQUIRED, Length(max=60)], render_kw={"list": "commodities"})
    floor_price_fen_per_kg = YuanField(_l("保底价"), [REQUIRED], render_kw=DECIMAL)
    premium_fen_per_kg = YuanField(_l("加价"), render_kw=DECIMAL)
    guarantee_days = IntegerField(
        _l("保底兑付期限"), [InputRequired(_l("请填写天数"))], default=30, render_kw={"inputmode": "numeric"}
    )

    def terms(self) -> dict[str, Any]:
        return {
            "commodity": self.commodity.data,
            "floor_price_fen_per_kg": self.floor_price_fen_per_kg.data,
            "premium_fen_per_kg": self.premium_fen_per_kg.data or 0,
            "guarantee_days": self.guarantee_days.data,
        }


class SlipForm(FlaskForm):
    """A weigh slip, as it lies beside the scales."""

    slip_no = StringField(
        _l("过磅单号"),
        [REQUIRED, Length(max=40)],
        render_kw={"autocomplete": "off", "autocapitalize": "characters"},
    )
    net_g = KgField(_l("净重"), [REQUIRED], render_kw=DECIMAL)
    grade = StringField(
        _l("等级"), [REQUIRED, Length(max=20)], default=USUAL_GRADES[0], render_kw={"list": "grades"}
    )
    market_price_fen_per_kg = YuanField(_l("当日市价"), [Optional()], render_kw=DECIMAL)
    weighed_on = DateField(_l("过磅日期"), [DAY], default=today)
    household_signer = StringField(_l("农户签字"), [REQUIRED, Length(max=60)])
    cooperative_signer = StringField(_l("合作社签字"), [REQUIRED, Length(max=60)])
    file = FileField(_l("过磅单照片"), render_kw=DOCUMENTS)
