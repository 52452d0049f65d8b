"""The trail (操作日志): every rule that changes something says who did what to which thing. Append-only."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from marketplace.core.clock import now
from marketplace.identity.actors import Actor
from marketplace.identity.models import TrailEntry


def record_trail(
    session: Session,
    actor: Actor,
    action: str,
    *,
    subject: tuple[str, str],
    cooperative_id: int | None = None,
    buyer_unit_id: int | None = None,
    household_id: int | None = None,
    county_code: str | None = None,
    **detail: str | int | bool | None,
) -> None:
    """Write one row: `action` is "room.verb", `subject` a kind and a public number.

    Organisation and county default to the actor's own. `detail` must hold no personal data.
    """
    session.add(
        TrailEntry(
            **trail_row(
                actor,
                action,
                subject=subject,
                cooperative_id=cooperative_id,
                buyer_unit_id=buyer_unit_id,
                household_id=household_id,
                county_code=county_code,
                **detail,
            )
        )
    )


def trail_row(
    actor: Actor,
    action: str,
    *,
    subject: tuple[str, str],
    cooperative_id: int | None = None,
    buyer_unit_id: int | None = None,
    household_id: int | None = None,
    county_code: str | None = None,
    **detail: str | int | bool | None,
) -> dict[str, Any]:
    """The columns of that row, for those who write many at once."""
    return {
        "at": now(),  # when it was done, not when it is written
        "actor_user_id": actor.user_id,
        "actor_name": actor.name,
        "action": action,
        "subject_kind": subject[0],
        "subject_no": subject[1],
        "cooperative_id": cooperative_id or actor.cooperative_id,
        "buyer_unit_id": buyer_unit_id or actor.buyer_unit_id,
        "household_id": household_id,
        "county_code": county_code or actor.county_code,
        "detail": detail,
    }
