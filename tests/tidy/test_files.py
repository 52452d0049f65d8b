"""Lock files, the README and the Makefile agree with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from flask import Flask

from config import Settings

TOP = Path(__file__).resolve().parents[2]
LOCKS = sorted(TOP.glob("requirements*.txt"))
README = (TOP / "README.md").read_text(encoding="utf-8")
PINNED = re.compile(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)", re.MULTILINE)


def test_python_locks_are_hashed_and_name_no_host() -> None:
    for lock in LOCKS:
        text = lock.read_text(encoding="utf-8")
        assert not re.search(r"://|--(extra-)?index-url|--find-links", text), lock.name
        assert text.count("--hash=sha256:") >= len(PINNED.findall(text)) > 0, lock.name


def test_the_front_end_lock_is_hashed_and_names_no_host() -> None:
    packages = json.loads((TOP / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    locked = {name: package for name, package in packages.items() if name}
    assert all("integrity" in package and "resolved" not in package for package in locked.values())


def test_tests_run_on_what_the_site_runs_on() -> None:
    site = dict(PINNED.findall((TOP / "requirements.txt").read_text(encoding="utf-8")))
    tests = dict(PINNED.findall((TOP / "requirements-dev.txt").read_text(encoding="utf-8")))
    assert {name: tests.get(name) for name in site} == site


def test_commands_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert {"run", "test", "check"} <= named <= targets


@pytest.mark.databases("sqlite")
def test_flask_commands_of_the_readme_exist(app: Flask) -> None:
    named = set(re.findall(r"`flask ([a-z-]+)", README))
    assert named <= set(app.cli.commands)


def test_settings_are_documented() -> None:
    assert [name for name in Settings.model_fields if f"`{name.upper()}`" not in README] == []


def test_every_decision_is_listed_under_its_title() -> None:
    folder = TOP / "docs/decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = {page: page.read_text(encoding="utf-8").splitlines()[0] for page in folder.glob("*.md")}
    links = [
        f"[{title.removeprefix('# ')}]({page.name})"
        for page, title in pages.items()
        if page.name != "README.md"
    ]
    assert [link for link in links if link not in index] == []
