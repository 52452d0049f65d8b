"""Uploaded pictures: what is taken, what is refused, and what is left of them."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from marketplace.catalog.pictures import LARGE_SIDE, MAX_BYTES, SMALL_SIDE, prepare_picture
from marketplace.core.errors import Refused


def drawn(width=640, height=480, colour=(220, 120, 30)) -> Image.Image:
    picture = Image.new("RGB", (width, height), colour)
    picture.paste((20, 120, 60), (0, 0, width // 2, height // 2))
    return picture


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def refusal(content: bytes) -> str:
    with pytest.raises(Refused) as caught:
        prepare_picture(content)
    assert caught.value.field == "picture"
    assert str(caught.value)
    return caught.value.code


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_becomes_two_webp_files(kind):
    prepared = prepare_picture(encoded(drawn(1600, 1200), kind))
    large, small = Image.open(io.BytesIO(prepared.large)), Image.open(io.BytesIO(prepared.small))
    assert (large.format, large.size) == ("WEBP", (LARGE_SIDE, LARGE_SIDE * 3 // 4))
    assert (small.format, small.size) == ("WEBP", (SMALL_SIDE, SMALL_SIDE * 3 // 4))
    assert (prepared.width, prepared.height) == large.size


def test_a_small_picture_is_not_blown_up():
    prepared = prepare_picture(encoded(drawn(300, 240), "PNG"))
    assert Image.open(io.BytesIO(prepared.large)).size == (300, 240)
    assert Image.open(io.BytesIO(prepared.small)).size == (300, 240)


def test_the_same_upload_gives_the_same_bytes():
    content = encoded(drawn(), "JPEG")
    assert prepare_picture(content) == prepare_picture(content)


def test_a_photo_of_a_phone_of_twelve_megapixels_is_taken():
    assert prepare_picture(encoded(drawn(4032, 3024), "JPEG")).width == LARGE_SIDE


def test_place_and_camera_are_dropped_and_the_photo_stands_upright():
    picture = drawn(640, 480)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "a telling camera"
    exif.get_ifd(0x8825)[2] = (26.0, 2.0, 3.0)
    content = encoded(picture, "JPEG", exif=exif)
    assert b"a telling camera" in content
    prepared = prepare_picture(content)
    assert (prepared.width, prepared.height) == (480, 640)
    for file in (prepared.large, prepared.small):
        kept = Image.open(io.BytesIO(file))
        assert not kept.getexif()
        assert "icc_profile" not in kept.info
        assert b"a telling camera" not in file


def test_what_is_transparent_becomes_white():
    picture = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    prepared = prepare_picture(encoded(picture, "PNG"))
    assert Image.open(io.BytesIO(prepared.large)).convert("RGB").getpixel((150, 150)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_colour_mode_is_read(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    picture = drawn().convert("L").convert("I;16") if mode == "I;16" else drawn().convert(mode)
    assert prepare_picture(encoded(picture, kind)).width == 640


def test_a_phone_photo_that_carries_a_second_one_counts_as_one():
    content = encoded(drawn(), "MPO", save_all=True, append_images=[drawn(320, 240)])
    assert prepare_picture(content).width == 640


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "picture_empty"),
        (b"\xff\xd8\xff" + b"\0" * MAX_BYTES, "picture_bytes"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "picture_format"),
        (b"<svg><script>alert(1)</script></svg>", "picture_format"),
        (b"GIF89a" + b"\0" * 100, "picture_format"),
        (b"BM" + b"\0" * 100, "picture_format"),
        (b"%PDF-1.7", "picture_format"),
        (b"MZ\x90\0", "picture_format"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "picture_format"),
        (b"just a text file named photo.jpg", "picture_format"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "picture_heic"),
        (b"\xff\xd8\xff", "picture_broken"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 200, "picture_broken"),
        (b"\x89PNG\r\n\x1a\n", "picture_broken"),
        (b"RIFF\x10\0\0\0WEBPVP8 \0\0\0\0", "picture_broken"),
    ],
)
def test_what_is_no_picture_is_refused(content, code):
    assert refusal(content) == code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.95])
def test_a_picture_cut_short_is_refused(kind, kept):
    noise = Image.effect_noise((400, 300), 90).convert("RGB")
    content = encoded(noise, kind)
    assert refusal(content[: int(len(content) * kept)]) == "picture_broken"


@pytest.mark.parametrize("size", [(30_000, 30_000), (4096, 3073), (17_000, 200), (2**31 - 1, 1)])
def test_a_bomb_is_refused_before_it_is_unpacked(size):
    assert refusal(png_header(*size)) == "picture_pixels"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused(kind):
    frames = [drawn(colour=(shade, 0, 0)) for shade in (10, 120, 240)]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=80)
    assert refusal(content) == "picture_animated"


def test_a_thumbnail_is_too_small_to_sell_with():
    assert refusal(encoded(drawn(199, 400), "PNG")) == "picture_small"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "stowaway",
    [
        b"<script>alert(1)</script>",
        b"<!DOCTYPE HTML><HTML>",
        b"<?php system($_GET['c']); ?>",
        b"<svg onload=alert(1)>",
        b"PK\x03\x04 a jar PK\x05\x06" + b"\0" * 18,
    ],
)
def test_a_picture_that_is_also_something_else_is_refused(kind, stowaway):
    assert refusal(encoded(drawn(), kind) + stowaway) == "picture_polyglot"


def test_a_script_in_the_comment_of_a_jpeg_is_refused():
    assert refusal(encoded(drawn(), "JPEG", comment=b"<script>alert(1)</script>")) == "picture_polyglot"


def test_harmless_bytes_behind_a_picture_are_dropped():
    content = encoded(drawn(), "JPEG")
    assert prepare_picture(content + b"\0trailer of a phone" * 10) == prepare_picture(content)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_is_no_reason_to_refuse_a_photo():
    assert prepare_picture(encoded(drawn(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")).width == 640


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP"]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=20),
)
def test_a_scribbled_over_file_is_read_or_refused(kind, changes):
    content = bytearray(encoded(drawn(256, 240), kind))
    for place, octet in changes:
        content[place % len(content)] = octet
    try:
        prepared = prepare_picture(bytes(content))
    except Refused:
        return
    assert Image.open(io.BytesIO(prepared.large)).format == "WEBP"
