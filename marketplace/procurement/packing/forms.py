"""Waybills: a row for each order that waits, or a sheet."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired


class WaybillSheetForm(FlaskForm):
    """A filled sheet."""

    file = FileField(
        _l("填好的待发货表"),
        [FileRequired(_l("请选择文件"))],
        render_kw={"accept": ".xlsx,.csv"},
    )
