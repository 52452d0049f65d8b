"""Files and functions stay small enough to be read in one go. The lists of exceptions start empty and only shrink."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
LIMITS = {
    "marketplace": 500,
    "migrations": 500,
    "tests": 500,
    "templates": 500,
    "static": 500,
    "benchmarks": 500,
}
FUNCTION_LIMIT = 70
LONG_FILES: dict[str, int] = {}  # path: lines it has today, never more
LONG_FUNCTIONS: dict[str, int] = {}  # "path:function": lines it has today, never more


def files(*suffixes: str) -> list[Path]:
    found = [path for room in LIMITS for path in (TOP / room).rglob("*") if path.suffix in suffixes]
    return sorted(path for path in found if not {"__pycache__", "vendor"} & set(path.parts))


def name_of(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def test_no_file_is_too_long() -> None:
    too_long = {}
    for path in files(".py", ".html", ".js", ".css"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        limit = LONG_FILES.get(name_of(path), LIMITS[path.relative_to(TOP).parts[0]])
        if lines > limit:
            too_long[name_of(path)] = lines
    assert not too_long


def test_no_function_is_too_long() -> None:
    too_long = {}
    for path in files(".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                key = f"{name_of(path)}:{node.name}"
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONG_FUNCTIONS.get(key, FUNCTION_LIMIT) and "migrations/versions" not in key:
                    too_long[key] = lines
    assert not too_long


@pytest.mark.parametrize("table", [LONG_FILES, LONG_FUNCTIONS], ids=["files", "functions"])
def test_exceptions_name_what_exists(table: dict[str, int]) -> None:
    assert not [key for key in table if not (TOP / key.split(":")[0]).exists()]
