"""`flask serve` starts every part of the site, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import pytest
from sqlalchemy.orm import Session

from marketplace.web.serve import _free_port, _is_free
from tests.factories.identity import UserFactory

pytestmark = pytest.mark.timeout(
    300
)  # four processes that import the whole site, on a machine busy with tests
TOP = Path(__file__).resolve().parents[2]
SERVE = (sys.executable, "-m", "flask", "--app", "wsgi", "serve")
QUIET: dict[str, Any] = {"stdout": PIPE, "stderr": STDOUT, "text": True}


def environment(database_url: str, folder: Path, port: int) -> dict[str, str]:
    wanted = {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(folder),
        "PORT": str(port),
        "ENVIRONMENT": "development",
    }
    return {**os.environ, **wanted}


@contextmanager
def served(session: Session, database_url: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The site on a port of its own; one account keeps the demo out."""
    UserFactory()
    session.commit()
    port = _free_port("127.0.0.1", 20_000 + os.getpid() % 20_000)
    environ = environment(database_url, folder, port)
    process = subprocess.Popen([*SERVE], cwd=TOP, env=environ, stdout=PIPE, stderr=STDOUT, text=True)
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def wait_until_announced(process: subprocess.Popen[str]) -> str:
    """What it says up to the line that tells how to stop it."""
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if "Ctrl-C stops everything" in line:
            return told
    raise AssertionError(told)


def children_of(process: subprocess.Popen[str]) -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    return [int(pid) for pid in tasks.split()]


def command_of(pid: int) -> str:
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_bytes().replace(b"\0", b" ").decode() if path.exists() else ""


def answers_beside_idle_browsers(port: int) -> None:
    """Forty browsers with their six connections each keep nobody else out."""
    with ExitStack() as idle:
        for _ in range(240):
            idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=20) as answer:
            assert answer.status == 200


def test_everything_starts_and_stops_together(session: Session, database_url: str, tmp_path: Path) -> None:
    with served(session, database_url, tmp_path) as (process, port):
        assert f"http://127.0.0.1:{port} " in wait_until_announced(process)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
            parts = json.load(answer)
        assert {parts[name]["status"] for name in ("database", "worker", "queue")} == {"ok"}
        answers_beside_idle_browsers(port)
        children = children_of(process)
        assert len(children) == 3

        second = subprocess.run(
            [*SERVE], cwd=TOP, env=environment(database_url, tmp_path, port), check=False, **QUIET
        )
        assert second.returncode == 1
        assert f"port {port} is taken; choose another: PORT={port + 1} make run" in second.stdout

        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=30)[0]
        assert process.returncode == 0, told
        assert told.endswith("stopped\n")
        assert not [pid for pid in children if command_of(pid)]
        assert _is_free("127.0.0.1", port)


@pytest.mark.databases("sqlite")
def test_when_one_part_dies_all_stop_and_the_reason_is_told(
    session: Session, database_url: str, tmp_path: Path
) -> None:
    with served(session, database_url, tmp_path) as (process, _port):
        wait_until_announced(process)
        children = children_of(process)
        _web_server, worker, _emulator = children
        os.kill(worker, signal.SIGKILL)
        told = process.communicate(timeout=30)[0]
        assert process.returncode == 1
        assert "the worker ended with status -9; everything was stopped" in told
        assert not [pid for pid in children if command_of(pid)]
