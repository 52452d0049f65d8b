"""How far long work is, and the answer a page gets that asks for it.

A job carries no data: its room reads this from the rows the job writes, page by page. The page shows it with the macro
`work` of `ui/status.html` and, for browsers without scripts, loads itself anew (`ui/reload.html`).
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import render_template
from flask.typing import ResponseReturnValue


@dataclass(frozen=True)
class Progress:
    """`message` (a Chinese source string) says what is being done now; `done` of `total` whole units of it are.

    `can_stop` is True while somebody may still stop it.
    """

    message: str
    done: int
    total: int
    can_stop: bool = True


def progress_answer(progress: Progress | None, address: str) -> ResponseReturnValue:
    """What a page gets that asks `address` each second: the bar, or word to load itself anew once all is done."""
    if progress is None:
        return "", 200, {"HX-Refresh": "true"}
    return render_template("ui/work_bar.html", progress=progress, address=address)
