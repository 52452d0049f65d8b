"""Product pictures: only what really is a JPEG, PNG or WebP of a bearable size, re-encoded in two sizes.

Re-encoding drops everything but the pixels (place and camera in EXIF, trailing bytes of a polyglot); the orientation is
applied first. Pure: bytes in, bytes out.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps

from marketplace.core.errors import Refused
from marketplace.core.labels import N_

MAX_PIXELS = 12_000_000
MAX_BYTES = 10 * 1024 * 1024
MIN_SIDE = 200
LARGE_SIDE = 1200
SMALL_SIDE = 480
QUALITY = 82
MAGIC = {"JPEG": (b"\xff\xd8\xff",), "PNG": (b"\x89PNG\r\n\x1a\n",), "WEBP": (b"RIFF",)}


@dataclass(frozen=True)
class PreparedPicture:
    """A picture as it is kept: two WebP files, and the size of the large one in pixels."""

    large: bytes
    small: bytes
    width: int
    height: int


def prepare_picture(content: bytes) -> PreparedPicture:
    """Check and re-encode an uploaded picture.

    Raises Refused (field "picture") when it is empty, over MAX_BYTES, not one of the three formats by its first bytes,
    animated, broken, under MIN_SIDE or over MAX_PIXELS.
    """
    if not content:
        raise Refused("picture_empty", N_("图片是空的，请重新选择"), field="picture")
    if len(content) > MAX_BYTES:
        raise Refused("picture_bytes", N_("图片超过 10 MB，请压缩后再上传"), field="picture")
    if not any(content.startswith(start) for starts in MAGIC.values() for start in starts):
        raise Refused("picture_format", N_("只能上传 JPEG、PNG 或 WebP 图片"), field="picture")
    picture = _read(content)
    width, height = picture.size
    if min(width, height) < MIN_SIDE:
        raise Refused(
            "picture_small", N_("图片太小，长和宽都至少要 %(least)s 像素"), field="picture", least=MIN_SIDE
        )
    large, small = _fit(picture, LARGE_SIDE), _fit(picture, SMALL_SIDE)
    return PreparedPicture(_encode(large), _encode(small), large.width, large.height)


def _read(content: bytes) -> Image.Image:
    """The pixels, upright. The size is checked before anything is unpacked."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            opened = Image.open(io.BytesIO(content), formats=tuple(MAGIC))
        if opened.width * opened.height > MAX_PIXELS:
            raise Refused("picture_pixels", N_("图片超过 1200 万像素，请缩小后再上传"), field="picture")
        if getattr(opened, "n_frames", 1) > 1:
            raise Refused("picture_animated", N_("不能上传动图，请换成静态图片"), field="picture")
        opened.load()
        upright = ImageOps.exif_transpose(opened)
        return upright.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Refused(
            "picture_broken", N_("图片打不开，可能已损坏，请重新导出后再上传"), field="picture"
        ) from error


def _fit(picture: Image.Image, side: int) -> Image.Image:
    fitted = picture.copy()
    fitted.thumbnail((side, side), Image.Resampling.LANCZOS)
    return fitted


def _encode(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=QUALITY, method=4)
    return out.getvalue()
