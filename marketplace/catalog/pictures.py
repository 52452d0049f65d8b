"""Product pictures: only what really is a JPEG, PNG or WebP of a bearable size, re-encoded in two sizes.

Re-encoding drops everything but the pixels (place and camera in EXIF, trailing bytes); the orientation is applied
first. Pure: bytes in, bytes out; where they are kept is for the rules.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, ImageOps

from marketplace.core.errors import Refused
from marketplace.core.labels import N_

MAX_PIXELS = 4096 * 3072  # what a camera sells as 12 megapixels: phones take 4032 x 3024
MAX_SIDE = 16_000
MAX_BYTES = 10 * 1024 * 1024
MIN_SIDE = 200
LARGE_SIDE = 1200
SMALL_SIDE = 480
QUALITY = 82
FORMATS = ("JPEG", "PNG", "WEBP")
PAPER = (255, 255, 255)

# The pixel count is checked here, right after the header is read; Pillow's own limit would only warn.
Image.MAX_IMAGE_PIXELS = None

_HEIC = re.compile(rb"ftyp(heic|heix|hevc|heim|heis|mif1|msf1|avif)")
_ACTIVE = re.compile(rb"<(script|html|svg|iframe|\?php)\b|<\?php|<!doctype html", re.IGNORECASE)
_ZIP_END = b"PK\x05\x06"
_ZIP_TAIL = 66_000
_PDF_HEAD = 1_024


@dataclass(frozen=True)
class PreparedPicture:
    """A picture as it is kept: two WebP files, and the size of the large one in pixels."""

    large: bytes
    small: bytes
    width: int
    height: int


def prepare_picture(content: bytes) -> PreparedPicture:
    """Check and re-encode an uploaded picture: at most LARGE_SIDE and SMALL_SIDE pixels on the longer side.

    Raises Refused (field "picture"): picture_empty, picture_bytes (over MAX_BYTES), picture_heic, picture_format (not
    one of the three by its first bytes), picture_polyglot (also a page, a script, an archive or a PDF),
    picture_pixels (over MAX_PIXELS), picture_animated, picture_broken or picture_small (under MIN_SIDE).
    """
    _check_bytes(content)
    picture = _read(content)
    if min(picture.size) < MIN_SIDE:
        raise Refused(
            "picture_small", N_("图片太小，长和宽都至少要 %(least)s 像素"), field="picture", least=MIN_SIDE
        )
    large, small = _fit(picture, LARGE_SIDE), _fit(picture, SMALL_SIDE)
    return PreparedPicture(_encode(large), _encode(small), large.width, large.height)


def _check_bytes(content: bytes) -> None:
    if not content:
        raise Refused("picture_empty", N_("图片是空的，请重新选择"), field="picture")
    if len(content) > MAX_BYTES:
        raise Refused("picture_bytes", N_("图片超过 10 MB，请压缩后再上传"), field="picture")
    if _HEIC.match(content, 4):
        raise Refused(
            "picture_heic",
            N_("这是手机的 HEIC 照片，请在手机相册里另存为 JPEG（或把相机格式改成“兼容性最佳”）后再上传"),
            field="picture",
        )
    if not _begins_like_a_picture(content):
        raise Refused("picture_format", N_("只能上传 JPEG、PNG 或 WebP 图片"), field="picture")
    if _ACTIVE.search(content) or _ZIP_END in content[-_ZIP_TAIL:] or b"%PDF-" in content[:_PDF_HEAD]:
        raise Refused(
            "picture_polyglot",
            N_("图片里夹带了网页、程序或压缩包，请用看图软件重新导出图片后再上传"),
            field="picture",
        )


def _begins_like_a_picture(content: bytes) -> bool:
    is_webp = content.startswith(b"RIFF") and content[8:12] == b"WEBP"
    return is_webp or content.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def _read(content: bytes) -> Image.Image:
    """The pixels, upright, on paper. The size is checked before anything is unpacked."""
    with _broken_on_failure():
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
    if opened.width * opened.height > MAX_PIXELS or max(opened.size) > MAX_SIDE:
        raise Refused("picture_pixels", N_("图片超过 1200 万像素，请缩小后再上传"), field="picture")
    # A JPEG with several pictures (MPO) is how phones keep depth and previews; the first one is the photo.
    if opened.format in {"PNG", "WEBP"} and getattr(opened, "n_frames", 1) > 1:
        raise Refused("picture_animated", N_("不能上传动图，请换成静态图片"), field="picture")
    with _broken_on_failure():
        opened.load()
        return _on_paper(_upright(opened))


@contextmanager
def _broken_on_failure() -> Iterator[None]:
    """Decoders fail in many ways on made-up files; to the uploader all mean the same."""
    try:
        yield
    except Exception as error:
        raise Refused(
            "picture_broken", N_("图片打不开，可能已损坏，请重新导出后再上传"), field="picture"
        ) from error


def _upright(picture: Image.Image) -> Image.Image:
    """The picture turned as its EXIF says; as it is where the EXIF cannot be read."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001 - EXIF is free-form, and a bad one is no reason to refuse a photo
        return picture


def _on_paper(picture: Image.Image) -> Image.Image:
    """Three channels; what was transparent is white."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layered = picture.convert("RGBA")
    paper = Image.new("RGB", picture.size, PAPER)
    paper.paste(layered, mask=layered.getchannel("A"))
    return paper


def _fit(picture: Image.Image, side: int) -> Image.Image:
    fitted = picture.copy()
    fitted.thumbnail((side, side), Image.Resampling.LANCZOS)
    return fitted


def _encode(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=QUALITY, method=4, exif=b"", icc_profile=None)
    return out.getvalue()
