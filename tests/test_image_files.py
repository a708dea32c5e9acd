"""Listing and decoding image folders: whatever people's copies hold."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_lib.data import sources
from fer_lib.data.decoding import decode, decode_all, fit
from fer_lib.data.sources import walk
from fer_lib.errors import FerError

RAMP = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_walk_visits_each_folder_once(tmp_path):
    root = tmp_path / "root"
    touch(root, "b/2", "b/1", "b/c/3", "0", ".git/config", "__MACOSX/._1", "b/.DS_Store")
    touch(tmp_path, "outside/4")
    (root / "d").symlink_to(root / "b")
    (root / "b" / "loop").symlink_to(root)
    (root / "far").symlink_to(tmp_path / "outside")
    (root / "file").symlink_to(root / "0")
    problems = []
    assert list(walk(root, problems)) == ["0", "file", "b/.DS_Store", "b/1", "b/2", "b/c/3", "far/4"]
    assert problems == []


def test_walk_names_a_folder_that_cannot_be_listed_and_goes_on(tmp_path, monkeypatch):
    touch(tmp_path, "a/1", "b/2")
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("a"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    problems = []
    assert list(walk(tmp_path, problems)) == ["b/2"]
    assert problems == [f"{tmp_path}/a cannot be listed (Permission denied); make it readable."]


def test_walk_and_shown_cope_with_names_in_no_known_encoding(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102 (a name that is not text)
    with open(folder + b"/1.png", "wb"):  # noqa: PTH123
        pass
    (name,) = walk(tmp_path, [])
    assert (tmp_path / name).is_file()
    assert sources.shown(name) == "caf\\udce9/1.png"


@pytest.mark.parametrize("ending", ["png", "tiff", "bmp"])
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_decode_gives_the_same_grey_for_every_kind_of_pixels(tmp_path, ending, mode):
    if ending == "bmp" and mode in ("LA", "I;16"):
        pytest.skip("BMP has no such pixels")
    image = Image.fromarray(RAMP)
    if mode == "P":
        image = image.convert("RGB").quantize(256)
    elif mode == "I;16":
        image = Image.fromarray(RAMP.astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    image.save(tmp_path / f"a.{ending}")
    assert (decode(tmp_path / f"a.{ending}") == RAMP).all()


def test_colours_weigh_as_in_bt601(tmp_path):
    Image.new("RGB", (5, 4), (200, 100, 50)).save(tmp_path / "a.png")
    assert np.unique(decode(tmp_path / "a.png")).tolist() == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "Git LFS pointer.*git lfs pull",
        ),
        (b"<html>please sign in</html>", "is a web page"),
        (b"no image", "cannot be decoded"),
        (b"P5\n99999999 99999999\n255\nx", "cannot be decoded"),
    ],
)
def test_decode_says_what_a_file_is_instead(tmp_path, content, message):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(FerError, match=message):
        decode(tmp_path / "a.png")


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".pgm", ".tiff"])
def test_a_file_cut_off_anywhere_is_no_image(tmp_path, ending):
    data = cv2.imencode(ending, RAMP)[1].tobytes()
    path = tmp_path / f"a{ending}"
    for length in range(1, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:length])
        with pytest.raises(FerError, match=r"cut off|cannot be decoded"):
            decode(path)


def test_a_png_damaged_anywhere_in_its_pixels_is_no_image(tmp_path):
    """A PNG file has checksums; a JPEG file has none, so of it only a missing end or header is found."""
    content = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8))[1].tobytes()
    path = tmp_path / "a.png"
    for position in range(content.index(b"IDAT") + 4, content.rindex(b"IEND") - 8, 7):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :])
        with pytest.raises(FerError, match=r"cannot be decoded|cut off"):
            decode(path)


def test_fit_keeps_the_aspect_ratio_and_repeats_the_edges():
    image = np.full((10, 20), 100, np.uint8)
    image[0] = 7
    tall = fit(image, (20, 20))
    assert tall.shape == (20, 20)
    assert (tall[:6] == 7).all()
    assert (tall[6:] == 100).all()
    assert fit(image, (10, 20)) is image


def test_decode_all_keeps_order_names_failures_and_fits_to_the_most_frequent_size(tmp_path):
    paths = []
    for i in range(40):
        paths.append(tmp_path / f"{i}.png")
        cv2.imwrite(str(paths[-1]), np.full((6, 5) if i == 3 else (8, 10), i, np.uint8))
    paths[7].write_bytes(b"")
    paths[9].unlink()
    faults = []
    images, items, sizes = decode_all(paths, "test", faults)
    assert images.shape == (38, 8, 10)
    assert images[:, 4, 5].tolist() == items.tolist() == [i for i in range(40) if i not in (7, 9)]
    assert sizes[3].tolist() == [6, 5]
    assert faults == [
        (str(paths[7]), "is empty; get it again."),
        (str(paths[9]), "cannot be read (No such file or directory)."),
    ]


@pytest.mark.parametrize("first", [(6, 5), (8, 10)])
def test_decode_all_takes_several_images_of_a_file_and_any_first_size(tmp_path, first):
    shapes = [first, (8, 10), (8, 10), (4, 4), (8, 10)]

    def load(position):
        return [np.full(shapes[position], 10 * position + k, np.uint8) for k in range(3)]

    images, owners, sizes = decode_all([tmp_path] * 5, "test", [], load=load)
    assert images.shape == (15, 8, 10)
    assert images[:, 4, 5].tolist() == [10 * i + k for i in range(5) for k in range(3)]
    assert owners.tolist() == [i for i in range(5) for _ in range(3)]
    assert sizes[::3].tolist() == [list(shape) for shape in shapes]


def test_decode_all_of_nothing():
    images, items, sizes = decode_all([], "test", [])
    assert (images.shape, items.shape, sizes.shape) == ((0, 1, 1), (0,), (0, 2))


@pytest.mark.parametrize("size", [0, (3,), (3, 0), "big", 2.5])
def test_an_absurd_size_is_refused(size):
    with pytest.raises(FerError, match="size is one whole number"):
        decode_all([], "test", [], size)
