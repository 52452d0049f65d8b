"""Refusals, constraint errors and HTTP errors, mapped once: to a page for people, to RFC 9457 for machines."""

from __future__ import annotations

import structlog
from flask import Flask, Response, current_app, g, jsonify, make_response, render_template, request
from flask_babel import gettext
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from marketplace.core.errors import Conflict, DomainError, NotFound, Refused
from marketplace.core.labels import N_
from marketplace.web.filters import day_or_text

log = structlog.get_logger(__name__)
TITLES = {
    400: N_("请求有误"),
    401: N_("请先登录"),
    403: N_("没有权限"),
    404: N_("没有找到"),
    405: N_("不能这样访问"),
    409: N_("与现有记录冲突"),
    413: N_("文件太大"),
    422: N_("请检查填写的内容"),
    429: N_("操作太频繁"),
    500: N_("系统出错了"),
    503: N_("系统暂时不可用"),
}


def explain(error: DomainError) -> str:
    """The message of `error` in the reader's language, its days written as pages write them."""
    text = str(gettext(error.message))
    params = {key: _in_words(value) for key, value in error.params.items()}
    return text % params if params else text


def _in_words(value: object) -> object:
    if hasattr(value, "label"):
        return gettext(value.label)
    return day_or_text(value) if isinstance(value, str) else value


def wants_json() -> bool:
    """Whether a machine is asking."""
    return request.path.startswith("/api/")


def problem(status: int, code: str, detail: str, **extra: object) -> Response:
    """An RFC 9457 problem document."""
    body = {"type": f"/problems/{code}", "title": gettext(TITLES.get(status, TITLES[400])), "status": status}
    response = jsonify({**body, "detail": detail, "code": code, **extra})
    response.status_code = status
    response.mimetype = "application/problem+json"
    return response


def answer(status: int, code: str, detail: str, *, title: str = "", **extra: object) -> Response:
    """The error as the asker wants it: problem document or page."""
    if wants_json():
        return problem(status, code, detail, **extra)
    heading = gettext(title or TITLES.get(status, TITLES[400]))
    page = render_template("error.html", status=status, title=heading, detail=detail, code=code)
    return make_response(page, status)


def _undo() -> None:
    session = g.get("session")
    if session is not None:
        session.rollback()


def init_errors(app: Flask) -> None:
    """Register the handlers. A request that ends in one of them has changed nothing."""
    app.before_request(_refuse_nul)
    app.register_error_handler(DomainError, _refused)
    app.register_error_handler(IntegrityError, _constraint)
    app.register_error_handler(DataError, _unfit)
    app.register_error_handler(OperationalError, _unavailable)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _broken)


def _refuse_nul() -> Response | None:
    """A NUL byte is in no number, word or name, and PostgreSQL takes none."""
    typed = [text for values in (request.args, request.form) for _key, text in values.items(multi=True)]
    texts = [request.path, *typed]
    if any("\x00" in text for text in texts):
        return answer(400, "nul_byte", gettext(TITLES[400]))
    return None


def _refused(error: DomainError) -> Response:
    _undo()
    if isinstance(error, NotFound):
        log.warning("not_found", path=request.path, user=g.get("user_no"))
    extra = {"field": error.field} if error.field else {}
    return answer(error.status, error.code, explain(error), title=error.title, **extra)


def _constraint(error: IntegrityError) -> Response:
    log.warning("constraint_refused", path=request.path, reason=str(error.orig))
    return _refused(Conflict("conflict", N_("这项操作与现有记录冲突，可能已经提交过，请刷新后再看")))


def _unfit(error: DataError) -> Response:
    """A number or text that a column cannot hold; rules say it better where they can."""
    log.warning("value_refused", path=request.path, reason=str(error.orig))
    return _refused(Refused("value_unfit", N_("有数字或文字超出了能保存的范围，请检查后再提交")))


def _unavailable(error: OperationalError) -> Response:
    _undo()
    log.error("database_unavailable", path=request.path, reason=str(error.orig))
    return answer(503, "busy", gettext("系统正忙，没有保存任何内容，请稍后再试"))


def _http(error: HTTPException) -> Response:
    _undo()
    if error.response is not None and isinstance(error.response, Response):
        return error.response
    status = error.code or 500
    own_words = status in (400, 429)
    detail = gettext(str(error.description)) if own_words else gettext(TITLES.get(status, TITLES[400]))
    extra = {"errors": error.data["messages"]} if hasattr(error, "data") else {}  # webargs' findings
    response = answer(status, error.name.lower().replace(" ", "_"), detail, **extra)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _broken(error: Exception) -> Response:
    if current_app.testing:
        raise error
    _undo()
    log.error("unhandled", path=request.path, exc_info=error)
    return answer(500, "internal_error", gettext("系统出错了，没有保存任何内容。我们已经记录，请稍后再试"))
