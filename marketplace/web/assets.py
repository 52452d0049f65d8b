"""The files under static/: named by their content, so that a browser keeps them for a year, sent compressed, and icons.

Compressed once for each version of a file and kept in memory (all of them are under 2 MB). Pages are not compressed:
they hold the form token beside words from the address, and lengths would tell one from the other.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
from dataclasses import dataclass
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path

from flask import Flask, Response, request, send_file
from markupsafe import Markup
from werkzeug.exceptions import NotFound
from werkzeug.utils import safe_join

YEAR_SECONDS = 365 * 24 * 3600
COMPRESSIBLE = {".css", ".js", ".svg", ".json"}
SHAPE = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)


@dataclass(frozen=True)
class Asset:
    """One version of a file: `digest` names its content, `gzipped` is None where compressing saves nothing."""

    path: Path
    digest: str
    gzipped: bytes | None


def find_asset(root: Path, name: str) -> Asset | None:
    """The present version of the file `name` under `root`; None when there is none or it lies outside."""
    joined = safe_join(str(root), name)
    path = Path(joined) if joined else None
    if path is None or not path.is_file():
        return None
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4096)
def _read(path: Path, _written: int) -> Asset:
    content = path.read_bytes()
    zipped = gzip.compress(content, mtime=0) if path.suffix in COMPRESSIBLE else content
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Asset(path, digest, zipped if len(zipped) < len(content) else None)


def init_assets(app: Flask) -> None:
    """Serve the files, put their version into every address of one, and give templates `icon_shape`."""
    root = Path(app.static_folder or "")

    def serve(filename: str) -> Response:
        asset = find_asset(root, filename)
        if asset is None:
            raise NotFound
        return _answer(asset)

    def version(endpoint: str, values: dict[str, object]) -> None:
        if endpoint == "static" and "filename" in values:
            asset = find_asset(root, str(values["filename"]))
            if asset is not None:
                values["v"] = asset.digest

    app.view_functions["static"] = serve
    app.url_defaults(version)
    app.jinja_env.globals["icon_shape"] = lambda name: _shape(find_asset(root, f"vendor/icons/{name}.svg"))


def _answer(asset: Asset) -> Response:
    as_named = request.args.get("v") == asset.digest
    zipped = asset.gzipped if request.accept_encodings["gzip"] and "Range" not in request.headers else None
    response = send_file(
        asset.path if zipped is None else io.BytesIO(zipped),
        mimetype=guess_type(asset.path.name)[0],
        etag=asset.digest if zipped is None else f"{asset.digest}-gzip",
        max_age=YEAR_SECONDS if as_named else None,
    )
    if zipped is not None:
        response.headers["Content-Encoding"] = "gzip"
    if asset.gzipped is not None:
        response.vary.add("Accept-Encoding")
    response.cache_control.immutable = as_named or None
    return response


def _shape(asset: Asset | None) -> Markup:
    """What is inside the <svg> of one of our own files; nothing where the file is missing."""
    found = SHAPE.search(asset.path.read_text(encoding="utf-8")) if asset else None
    return Markup(found[1].strip() if found else "")  # noqa: S704 - a file of a locked package
