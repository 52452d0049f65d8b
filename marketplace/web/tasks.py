"""What waits for somebody: one line on a role's desk, such as "3 orders to confirm". Each room names its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Task:
    """`message` is a Chinese source string with %(count)s; the page behind it is `endpoint` with `values`."""

    message: str
    count: int
    endpoint: str
    values: Mapping[str, str] = field(default_factory=dict)
