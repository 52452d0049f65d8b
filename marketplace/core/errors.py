"""The refusals a rule may answer with.

Each has a stable `code` for machines, a Chinese message marked with `N_` for people, and the parameters of that
message. The edge maps them once, to a page and to one JSON problem shape (RFC 9457); rules never see HTTP.
"""

from __future__ import annotations

from marketplace.core.labels import N_


class DomainError(Exception):
    """A request that the rules refuse. `status` is the HTTP status the edge answers with; `title` heads its page where
    the status says too little."""

    status = 422
    title = ""

    def __init__(self, code: str, message: str, *, field: str | None = None, **params: object) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.field = field
        self.params = params

    def __str__(self) -> str:
        return self.message % self.params if self.params else self.message


class Refused(DomainError):
    """The input breaks a rule; the message says what to fix. `field` names the form field, where one is meant."""


class NotFound(DomainError):
    """Nothing here under that number, or not visible to this actor: the two are never told apart."""

    status = 404

    def __init__(
        self, code: str = "not_found", message: str = N_("没有找到这一页或这条记录"), **params: object
    ) -> None:
        super().__init__(code, message, field=None, **params)


class Forbidden(DomainError):
    """The actor may see this but not do it."""

    status = 403

    def __init__(
        self, code: str = "forbidden", message: str = N_("您的岗位不能进行这项操作"), **params: object
    ) -> None:
        super().__init__(code, message, field=None, **params)


class Conflict(DomainError):
    """Somebody else was faster, or the same thing was already done in another way."""

    status = 409
