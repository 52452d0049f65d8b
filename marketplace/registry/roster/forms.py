"""Uploading a roster."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired


class UploadForm(FlaskForm):
    """One file: CSV or XLSX, up to the size the app accepts."""

    file = FileField(
        _l("名册文件"), [FileRequired(_l("请选择名册文件"))], render_kw={"accept": ".csv,.xlsx,.txt"}
    )
