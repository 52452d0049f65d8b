"""Words shown to people for codes kept in the database.

`N_` marks a Chinese source string for the translators without translating it: the layers that know no request
use it, and the edge (a template filter, the error page) turns it into the reader's language. `NN_` does the same for
sentences that count something.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


def N_(message: str) -> str:  # noqa: N802 - the conventional name of the marker, known to the extractor
    """Mark `message` (Simplified Chinese) for translation and return it unchanged."""
    return message


def NN_(message: str) -> str:  # noqa: N802 - as N_
    """Mark a sentence about %(count)s things, which has a form for one and for many in other languages."""
    return message


class LabelledEnum(StrEnum):
    """A string enum whose members carry the label shown to people: `NAME = "code", N_("中文")`."""

    label: str

    def __new__(cls, code: str, label: str = "") -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.label = label
        return member

    @classmethod
    def known(cls, code: str) -> Self | None:
        """The member with that code, None when there is none: for codes that come from an address."""
        return cls._value2member_map_.get(code)  # type: ignore[return-value]
