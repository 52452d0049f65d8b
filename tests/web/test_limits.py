"""Whose requests are counted together."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask_limiter.util import get_remote_address

from config import Settings
from marketplace.web.limits import init_limits


@pytest.mark.parametrize(("proxies", "counted"), [(0, "10.0.0.1"), (1, "198.51.100.7")])
def test_askers_are_told_apart_by_what_a_trusted_proxy_says(
    tmp_path: Path, proxies: int, counted: str
) -> None:
    """The first address was written by the asker, the last one by the proxy."""
    app = Flask("behind a proxy")
    app.config["SETTINGS"] = Settings(environment="test", data_dir=tmp_path, trusted_proxies=proxies)
    init_limits(app)
    app.get("/who")(get_remote_address)
    asked = app.test_client().get(
        "/who",
        environ_base={"REMOTE_ADDR": "10.0.0.1"},
        headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"},
    )
    assert asked.text == counted
