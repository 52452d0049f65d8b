"""Fixtures of the payment tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.payments.stripe_world import StripeWorld, running_emulator


@pytest.fixture
def stripe_emulator() -> Iterator[StripeWorld]:
    """The Stripe emulator on a free port, with an inbox for its webhooks."""
    with running_emulator() as world:
        yield world
