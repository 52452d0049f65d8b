"""What every linkage mechanism offers, so that the rest of the room needs to know none of them.

A mechanism turns evidence into entitlements: integers only, rounded once, half up, where its formula says so. Its
tables, rules, forms and pages are its own package's business.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from sqlalchemy.orm import Session

from marketplace.core.errors import Refused
from marketplace.core.labels import N_, LabelledEnum
from marketplace.linkage.models import Agreement, AgreementVersion, Attribution, IncomeClass

Terms = Mapping[str, Any]
Details = Mapping[str, Any]


@dataclass(frozen=True)
class Described:
    """One line for people: a label and a text, both Chinese source strings; `params` fill the text's placeholders."""

    label: str
    text: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Computed:
    """What one piece of evidence entitles a household to, gross, and what it was computed from (fit for JSON)."""

    amount_fen: int
    due_on: date
    inputs: dict[str, Any]
    rule_version: int


class MechanismModule(Protocol):
    """The functions of a mechanism's `mechanism.py`; a module is one by having them."""

    attributions: tuple[Attribution, ...]  # the ways its pools may be shared, the more exact one first
    income_class: IncomeClass

    def validate_terms(self, raw: Mapping[str, object]) -> dict[str, Any]:
        """The terms of an agreement as they are kept. Raises Refused naming the field."""

    def describe_terms(self, terms: Terms) -> list[Described]:
        """The terms as people read them."""

    def entitlement(self, details: Details, terms: Terms, *, rule_version: int = 1) -> Computed:
        """What the evidence `details` entitle to under `terms`, by that version of the formula."""

    def summarise(self, inputs: Mapping[str, Any]) -> Described:
        """What kind of evidence an entitlement with these inputs comes from, and which, in one line."""

    def explain(self, inputs: Mapping[str, Any]) -> list[Described]:
        """How an entitlement with these inputs was computed, as people read it."""

    def details_of(self, session: Session, evidence_ids: Collection[int]) -> dict[int, dict[str, Any]]:
        """What was recorded of each piece of evidence, as `entitlement` takes it, by evidence id."""

    def recorded_until(self, session: Session, agreement: Agreement) -> date | None:
        """The first day that no evidence recorded under the agreement reaches; None when there is none."""

    def claim(self, session: Session, agreement: Agreement, version: AgreementVersion) -> None:
        """Take what only one agreement at a time may hold, from the first day of a new version on. Raises Conflict."""

    def release(self, session: Session, agreement: Agreement, *, ends_on: date) -> None:
        """Give back what `claim` took, from `ends_on` on."""


def only_known(raw: Mapping[str, object], known: Collection[str]) -> None:
    """Raise Refused when `raw` holds a term this mechanism has not."""
    unknown = sorted(set(raw) - set(known))
    if unknown:
        raise Refused("unknown_term", N_("协议条款“%(name)s”不适用于这种联结方式"), name=unknown[0])


def integer_term(raw: Mapping[str, object], term: LabelledEnum, *, least: int, most: int) -> int:
    """The integer `term` within least..most. Raises Refused."""
    value = raw.get(term)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused("term_missing", N_("请填写“%(term)s”"), field=str(term), term=term)
    if not least <= value <= most:
        raise Refused("term_range", N_("“%(term)s”超出了合理范围，请核对单位"), field=str(term), term=term)
    return value


def text_term(raw: Mapping[str, object], term: LabelledEnum, *, pattern: str, hint: str) -> str:
    """The text `term` without outer spaces; `hint` says what `pattern` wants. Raises Refused."""
    value = raw.get(term)
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise Refused("term_missing", N_("请填写“%(term)s”"), field=str(term), term=term)
    if not re.fullmatch(pattern, text):
        raise Refused("term_form", hint, field=str(term))
    return text
