"""From a drawing's name and a seed to a finished picture."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable

from marketplace.demo.pictures import farm_scenes, forest_scenes
from marketplace.demo.pictures.backdrops import PALETTES, draw_room
from marketplace.demo.pictures.canvas import Canvas

Scene = Callable[[Canvas, str], None]


def _scenes() -> dict[str, Scene]:
    return {
        name.replace("_", "-"): function
        for module in (forest_scenes, farm_scenes)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


SCENES = _scenes()


def draw_picture(drawing: str, *, seed: int, words: str = "") -> bytes:
    """A JPEG of 1200 x 900 pixels: the scene `drawing` in a room chosen by `seed`, `words` on its labels.

    The same arguments give the same bytes on the same release of Pillow. Raises KeyError for an unknown drawing.
    """
    rng = random.Random(f"{drawing} {seed}")  # noqa: S311 - a picture, not a secret
    canvas = Canvas(rng)
    draw_room(canvas, PALETTES[rng.choice(sorted(PALETTES))])
    SCENES[drawing](canvas, words)
    return canvas.jpeg()
