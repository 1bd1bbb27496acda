import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.camera.pictures import decode, list_pictures
from edge_agent.errors import PictureError

SCENE = np.random.default_rng(3).integers(0, 255, (120, 160, 3), dtype=np.uint8)


def encoded(suffix: str, pixels: np.ndarray = SCENE) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def decoded(tmp_path: Path, content: bytes, name: str = "picture.jpg") -> np.ndarray:
    path = tmp_path / name
    path.write_bytes(content)
    return decode(path)


def refused(tmp_path: Path, content: bytes, name: str = "picture.jpg") -> str:
    with pytest.raises(PictureError) as error:
        decoded(tmp_path, content, name)
    assert "\n" not in str(error.value)
    assert name in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_pictures_of_the_usual_formats_are_read(tmp_path: Path, suffix: str) -> None:
    image = decoded(tmp_path, encoded(suffix), "picture" + suffix)
    assert image.shape == SCENE.shape
    assert image.dtype == np.uint8


def test_gray_stays_gray(tmp_path: Path) -> None:
    assert decoded(tmp_path, encoded(".png", SCENE[:, :, 0])).shape == (120, 160)


def test_sixteen_bits_become_eight_over_their_own_range(tmp_path: Path) -> None:
    deep = SCENE[:, :, 0].astype(np.uint16) * 16 + 1000  # a 12-bit sensor
    image = decoded(tmp_path, encoded(".png", deep))
    assert (image.min(), image.max()) == (0, 255)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("strange", [np.inf, -np.inf, np.nan])
def test_a_pixel_that_is_no_finite_number_does_not_eat_the_range(tmp_path: Path, strange: float) -> None:
    floats = SCENE[:, :, 0].astype(np.float32) + 1000
    whole = decoded(tmp_path, encoded(".tiff", floats), "whole.tiff")
    floats[3, 4] = strange
    image = decoded(tmp_path, encoded(".tiff", floats), "picture.tiff")
    assert image[3, 4] == (255 if strange == np.inf else 0)
    image[3, 4] = whole[3, 4]
    assert np.array_equal(image, whole)
    assert not decoded(tmp_path, encoded(".tiff", np.full((4, 4), strange, np.float32)), "all.tiff").any()


@pytest.mark.parametrize("suffix", [".gif", ".avif", ".hdr", ".pfm", ".pbm", ".pam"])
def test_what_is_read_when_named_is_found_in_a_directory(tmp_path: Path, suffix: str) -> None:
    pixels = (
        SCENE[:, :, :1] if suffix == ".pbm" else SCENE.astype(np.float32) if suffix in (".hdr", ".pfm") else SCENE
    )
    decoded(tmp_path, encoded(suffix, pixels), "picture" + suffix)
    assert list_pictures(tmp_path) == ([tmp_path / f"picture{suffix}"], 0)


def test_transparency_is_left_out(tmp_path: Path) -> None:
    alpha = np.dstack([SCENE, np.full((120, 160), 128, np.uint8)])
    assert decoded(tmp_path, encoded(".png", alpha)).shape == (120, 160, 3)


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    assert decoded(tmp_path, encoded(".png", SCENE[:1, :1])).shape == (1, 1, 3)


def test_twenty_megapixels_are_read(tmp_path: Path) -> None:
    large = np.tile(SCENE, (31, 34, 1))
    assert decoded(tmp_path, encoded(".jpg", large)).shape == (3720, 5440, 3)


def test_print_colours_become_screen_colours(tmp_path: Path) -> None:
    assert decoded(tmp_path, CMYK_JPEG).shape == (8, 8, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_truncated_picture_is_refused_and_not_filled_with_gray(tmp_path: Path, suffix: str) -> None:
    whole = encoded(suffix)
    assert "truncated" in refused(tmp_path, whole[: len(whole) // 2], "cut" + suffix)


def with_segment(jpeg: bytes, mark: int, content: bytes) -> bytes:
    return jpeg[:2] + bytes([0xFF, mark]) + (len(content) + 2).to_bytes(2, "big") + content + jpeg[2:]


def test_a_picture_taken_upright_is_turned_as_its_exif_tag_says(tmp_path: Path) -> None:
    orientation_6 = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    image = decoded(tmp_path, with_segment(encoded(".jpg"), 0xE1, orientation_6))
    assert image.shape == (160, 120, 3)


def test_a_preview_inside_does_not_hide_that_the_end_is_missing(tmp_path: Path) -> None:
    whole = with_segment(encoded(".jpg"), 0xE1, b"Exif\0\0" + encoded(".jpg", SCENE[:16, :16]))
    assert decoded(tmp_path, whole).shape == SCENE.shape
    assert "truncated" in refused(tmp_path, whole[:3000])


def test_what_a_telephone_appends_to_a_picture_is_no_matter(tmp_path: Path) -> None:
    assert decoded(tmp_path, encoded(".jpg") + b"\0film" * 5000).shape == SCENE.shape
    assert decoded(tmp_path, encoded(".png") + b"\0film" * 5000).shape == SCENE.shape


def test_a_damaged_picture_is_refused_by_its_checksum_and_nothing_else_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(encoded(".png"))
    content[len(content) // 2] ^= 0x55
    assert "a checksum does not fit" in refused(tmp_path, bytes(content))
    assert capfd.readouterr() == ("", "")


def test_an_empty_file_is_told_apart(tmp_path: Path) -> None:
    assert "the file is empty" in refused(tmp_path, b"")


@pytest.mark.parametrize("content", [b"no picture at all", b"\xff\xd8 but nothing more \xff\xd9", b"\x00" * 5000])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "not a picture" in refused(tmp_path, content)


def test_a_missing_file_and_a_directory_are_told(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="No such file"):
        decode(tmp_path / "nowhere.jpg")
    with pytest.raises(PictureError, match="Is a directory"):
        decode(tmp_path)


def test_a_directory_is_walked_in_order_and_other_files_are_counted(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.PNG", "a.jpg", "b/1.jpeg"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    pictures, others = list_pictures(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in pictures] == ["a.jpg", "b/1.jpeg", "b/2.PNG"]
    assert others == 1


# Eight pixels square, cyan, magenta, yellow and black: OpenCV writes no such file itself.
CMYK_JPEG = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwBQNzxGPDJQRkFGWlVQX3jIgnhubnj1r7mRyP//////////////////////////////////////"
    "/////////////8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABUAAQEAAAAAAAAAAAAAAAAAAAQD/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/a"
    "AA4EQwBNAFkASwAAPwBiBRL/2Q=="
)
