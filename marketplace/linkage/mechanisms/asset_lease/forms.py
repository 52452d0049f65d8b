"""Terms of an asset lease, and a rent receipt, as people type them."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import DateField, IntegerField, StringField
from wtforms.validators import InputRequired, Length

from marketplace.core.clock import today
from marketplace.linkage.fields import PercentField, YuanField
from marketplace.linkage.forms import DAY, DOCUMENTS, REQUIRED, AgreementForm

CODE = {"autocomplete": "off", "autocapitalize": "characters"}


class AssetForm(AgreementForm):
    """A household's place in the roster of a village asset."""

    asset_no = StringField(_l("资产登记号"), [REQUIRED, Length(max=40)], render_kw=CODE)
    lease_no = StringField(_l("租赁合同号"), [REQUIRED, Length(max=60)], render_kw=CODE)
    resolution_no = StringField(_l("村民会议决议号"), [REQUIRED, Length(max=60)], render_kw=CODE)
    plan_weight = IntegerField(
        _l("分配份数"), [InputRequired(_l("请填写份数"))], default=1, render_kw={"inputmode": "numeric"}
    )
    retain_bp = PercentField(_l("村集体留存比例"), [REQUIRED], render_kw={"inputmode": "decimal"})

    def terms(self) -> dict[str, Any]:
        return {
            "asset_no": self.asset_no.data,
            "lease_no": self.lease_no.data,
            "resolution_no": self.resolution_no.data,
            "plan_weight": self.plan_weight.data,
            "retain_bp": self.retain_bp.data,
        }


class RentReceiptForm(FlaskForm):
    """One rent that the village received."""

    receipt_no = StringField(_l("收据号"), [REQUIRED, Length(max=40)], render_kw=CODE)
    rent_fen = YuanField(_l("租金"), [REQUIRED], render_kw={"inputmode": "decimal", "autocomplete": "off"})
    received_on = DateField(_l("村集体收到日期"), [DAY], default=today)
    file = FileField(_l("收据或银行回单"), render_kw=DOCUMENTS)
