"""The person behind a rule: a plain value, so that rules, jobs and tests need no request."""

from __future__ import annotations

from dataclasses import dataclass, field

from marketplace.core.errors import Forbidden
from marketplace.identity.models import OrganisationKind, Role, User
from marketplace.identity.permissions import ROLE_PERMISSIONS, Permission


@dataclass(frozen=True)
class Actor:
    """Who acts: the user, the organisation, the roles. `user_id` is None for a visitor and for the system."""

    user_id: int | None = None
    name: str = ""
    roles: frozenset[Role] = field(default_factory=frozenset)
    organisation_id: int | None = None
    organisation_kind: OrganisationKind | None = None
    region_code: str = ""

    def can(self, permission: Permission) -> bool:
        """Whether any of the roles allows it."""
        return any(permission in ROLE_PERMISSIONS[role] for role in self.roles)

    def require(self, permission: Permission) -> None:
        """Raise Forbidden unless a role allows it: the rules' own check, behind the view's."""
        if not self.can(permission):
            raise Forbidden

    @property
    def cooperative_id(self) -> int | None:
        """The cooperative the actor works for. A cooperative has the id of its organisation."""
        return self.organisation_id if self.organisation_kind is OrganisationKind.COOPERATIVE else None

    @property
    def buyer_unit_id(self) -> int | None:
        """The buyer unit the actor works for. A buyer unit has the id of its organisation."""
        return self.organisation_id if self.organisation_kind is OrganisationKind.BUYER_UNIT else None

    @property
    def county_code(self) -> str | None:
        """The county of the actor's organisation; None above the county."""
        return self.region_code[:6] if len(self.region_code) >= 6 else None


VISITOR = Actor()
SYSTEM = Actor(name="system")


def actor_of(user: User) -> Actor:
    """The actor a signed-in `user` is."""
    organisation = user.organisation
    return Actor(
        user_id=user.id,
        name=user.display_name,
        roles=frozenset(row.role for row in user.roles),
        organisation_id=user.organisation_id,
        organisation_kind=organisation.kind if organisation else None,
        region_code=organisation.region_code if organisation else "",
    )
