"""A downloaded file keeps its name, in whatever script it is written."""

from __future__ import annotations

from flask import Flask

from marketplace.web.downloads import download

SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def test_a_file_with_a_chinese_name_leaves_a_real_server(app: Flask) -> None:
    with app.test_request_context():
        answer = download(b"content", SHEET, name="农户名册模板.xlsx")
        answer.direct_passthrough = False

        assert answer.headers["Content-Disposition"].encode("ascii") == (
            b"attachment; filename=.xlsx; "
            b"filename*=UTF-8''%E5%86%9C%E6%88%B7%E5%90%8D%E5%86%8C%E6%A8%A1%E6%9D%BF.xlsx"
        )
        assert (answer.mimetype, answer.get_data()) == (SHEET, b"content")
        assert answer.headers["Cache-Control"] == "no-store"
