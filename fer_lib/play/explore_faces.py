"""The faces to explore: those of a corpus, one's own photograph, and what is done to them.

Every face is turned level and cropped by its eyes to 48 pixels, as the networks of :mod:`fer_lib.play.zoo`
read it. That crop is what sliders disturb.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from fer_lib import faces, files
from fer_lib.data import datasets, splits
from fer_lib.data.corpus import Card, Corpus
from fer_lib.errors import FerError, one_of
from fer_lib.features import robustness
from fer_lib.features.sift import Vocabulary, sift, sift_of, word_patches
from fer_lib.play.matrix_data import CLASSES, framed, reading

if TYPE_CHECKING:
    from PIL import Image

TRAIN, HELD = 2000, 500  # faces of a large corpus that are used
VOCABULARY = 64  # visual words; paper ``cnn_sift`` has 256 to 1,024, of many more descriptors
PATCHES = 10  # a word that occurs less often among the training faces is not shown

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
MEGABYTES, MEGAPIXELS = 8, 50  # of a photograph; Jupyter's server takes messages of 10 MB
WORK = 1024  # pixels of a photograph's longer side; more shows nothing that a crop of 48 pixels keeps

INTERFERENCE = {  # slider -> (its title, its lowest value, what the ends are)
    "mouth": ("Cover the mouth", 0.0, "uncovered", "covered"),
    "eyes": ("Cover the eyes", 0.0, "uncovered", "covered"),
    "light": ("Light", -1.0, "dark", "bright"),
    "tones": ("Distort tones", 0.0, "as they are", "distorted"),
}

PHOTO = Card("photo", "Your own photograph", owner="you", licence="yours", obtain="", tree="", may_show=False)


@dataclass(frozen=True, eq=False)
class Words:
    """The visual words of a corpus; of frequent ones, patches of the training faces uint8 ``(P, s, s)``."""

    vocabulary: Vocabulary
    patches: dict[int, np.ndarray]

    def of(self, image: np.ndarray, n: int = 3) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Return keypoints (K, 4) of a face uint8 (H, W), their words (K,), and its n commonest words."""
        found = sift(image[None], workers=1)
        words = self.vocabulary.assign(found.values)
        counts = np.bincount(words, minlength=VOCABULARY)
        order = [int(w) for w in np.argsort(-counts, kind="stable") if counts[w] and int(w) in self.patches]
        return found.keypoints, words, order[:n]


@dataclass(frozen=True, eq=False)
class Collection:
    """A corpus as the panel uses it: faces to train on and held-out ones of other people, all framed.

    ``words`` are of the training faces; ``missed`` counts images left out because no face was found.
    """

    train: Corpus
    held: Corpus
    words: Words
    missed: int = 0

    @property
    def held_out_by(self) -> str:
        """What keeps the two parts apart, in words."""
        if self.held.subjects is not None:
            return f"{len(np.unique(self.held.subjects))} other people"
        return "the official test part" if self.held.split is not None else "other images"


def present(data_dir: str | Path | None = None) -> list[str]:
    """Return the names of the corpora on this machine, ``synthetic`` first."""
    found = ["synthetic"]
    for name in datasets.READERS:
        try:
            datasets.find(name, data_dir)
        except FerError:  # absent, or not to be read
            continue
        found.append(name)
    return found


def collection(dataset: str = "synthetic", data_dir: str | Path | None = None) -> Collection:
    """Load a corpus, find its faces, frame them and hold a part out.

    Faces of real corpora are found by dlib the first time, which takes a minute for 2,500 images. FerError as
    of :func:`fer_lib.data.datasets.load`, or if dlib finds no face to train or to test on.
    """
    options = {"size": 64} if dataset == "synthetic" else reading(dataset)
    if dataset in datasets.READERS and "crop" in datasets.READERS[dataset].options:
        options["crop"] = faces.FACE
    corpus = datasets.load(dataset, data_dir or None, **options)
    corpus = corpus.only([name for name in CLASSES if name in corpus.classes])
    if corpus.split is not None and {"train", "private_test"} <= set(corpus.split):
        parts = [np.flatnonzero(corpus.split == name) for name in ("train", "private_test")]
    else:
        parts = splits.hold_out(corpus, np.arange(len(corpus)), 0.25, by_subject=corpus.subjects is not None)
    sizes = zip(parts, (TRAIN, HELD), strict=True)
    train, held = (corpus.select(splits.subset(corpus, i, min(n, len(i)))) for i, n in sizes)
    missed = 0
    if not corpus.card.synthetic:
        marked = [faces.annotate(part, "dlib") for part in (train, held)]
        train, held = (part.select(part.valid) for part in marked)
        missed = sum(map(len, marked)) - len(train) - len(held)
    if not len(train) or not len(held):
        raise FerError(f"dlib finds too few faces in {corpus.card.title} to train on some and show others.")
    train = level(train)
    return Collection(train, level(held), words_of(train), missed)


def level(corpus: Corpus) -> Corpus:
    """Frame faces whose 68 landmarks are all known, as the matrix does."""
    return replace(framed(corpus, faces.eyes(corpus.landmarks)), meta=None)


def words_of(train: Corpus) -> Words:
    """Return the visual words of framed training faces, from the cache if they were made before."""
    import cv2

    key = files.digest(train.fingerprint, VOCABULARY, PATCHES, cv2.__version__)

    def make() -> dict[str, np.ndarray]:
        descriptors = sift_of(train)
        words = Vocabulary.fit(descriptors, VOCABULARY)
        patches = word_patches(words, descriptors, train.images, VOCABULARY, PATCHES)
        return {"centres": words.centres} | {f"word{name}": cut for name, cut in patches.items()}

    arrays = files.cached_arrays("explore-words", key, make)
    patches = {int(k.removeprefix("word")): cut for k, cut in arrays.items() if k != "centres"}
    return Words(Vocabulary(arrays["centres"]), patches)


# --- one's own photograph -----------------------------------------------------------------------------------


class NoFaceError(FerError):
    """No detector finds a face in a photograph."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph (uint8 ``(H, W)``, grey, upright) and the face in it, framed.

    ``box`` is left, top, width and height of the face in pixels; the label of ``face`` says nothing.
    """

    pixels: np.ndarray
    box: np.ndarray
    face: Corpus


def read_photo(data: bytes) -> np.ndarray:
    """Decode a photograph that someone brings: grey uint8 ``(H, W)``, at most 1,024 pixels a side.

    The size that the file announces is checked before any pixel is decoded, and a camera's note on how it was
    held is heeded. A file that is too large, of another format or damaged is a FerError.
    """
    from PIL import Image, ImageOps

    if len(data) > MEGABYTES * 1e6:
        raise FerError(
            f"The file has {len(data) / 1e6:.1f} MB, and at most {MEGABYTES} are taken; save it smaller."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit is looser than ours
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > MEGAPIXELS * 1e6:
            raise FerError(
                f"The image has {image.width} x {image.height} pixels; up to {MEGAPIXELS} million are taken."
            )
        image.draft("L", (WORK, WORK))  # of a JPEG only what is needed is decoded
        image = _eight_bits(ImageOps.exif_transpose(image)).convert("L")
        image.thumbnail((WORK, WORK))
    except FerError:
        raise
    except Exception:  # a damaged file may raise almost anything inside a decoder
        raise FerError("This file is no image that can be read; bring a JPEG or PNG file.") from None
    return np.asarray(image, np.uint8)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale deeper grey levels to 0 to 255, where Pillow's own conversion cuts off what lies above."""
    from PIL import Image

    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    levels = np.asarray(image, np.float64)
    # 16 bits have a white of their own; of 32 bits, whole or not, nothing says what black and white are.
    low, high = (0, 65535) if image.mode.startswith("I;16") else (levels.min(), levels.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("pixels without a value")
    return Image.fromarray(np.uint8((levels - low) / max(high - low, 1e-12) * 255 + 0.5))


def photograph(photo: bytes | np.ndarray, box: np.ndarray | None = None) -> Photograph:
    """Find the landmarks of the face in a photograph, and frame it as the networks expect.

    ``photo`` is a file's bytes or what :func:`read_photo` made of them; ``box`` is where the face is from
    brows to chin (left, top, width, height in pixels), by default looked for. A photograph without a face is
    a NoFaceError.
    """
    pixels = read_photo(photo) if isinstance(photo, bytes) else photo
    box = _face(pixels) if box is None else np.asarray(box, float)
    if min(box[2:]) < 8:
        raise FerError("No face was found in this photograph: so small, it shows none.")
    points = faces.landmarks([pixels], box[None])
    one = Corpus(pixels[None], np.zeros(1, int), CLASSES, PHOTO, np.array(["photo"]), landmarks=points)
    return Photograph(pixels, box, level(one))


def _face(pixels: np.ndarray) -> np.ndarray:
    """Return the box (4,) of the face: dlib's, whose landmarks expect it, around what another finds."""
    for method in ("haar", "mtcnn", "dlib"):
        (box,) = faces.detect([pixels], method)
        if np.isfinite(box).all():
            break
    else:
        raise NoFaceError(
            "No face was found in this photograph. A face seen from the front, upright, with light on it and "
            "at least a fifth as high as the picture, is found most easily."
        )
    # dlib's detector sees faces that nearly fill the image: give it the surroundings of what was found.
    margin = 0.4 * box[2:].max()
    left, top = np.maximum(box[:2] - margin, 0).astype(int)
    right, bottom = np.ceil(box[:2] + box[2:] + margin).astype(int)
    (closer,) = faces.detect([pixels[top:bottom, left:right]], "dlib")
    return closer + np.array([left, top, 0, 0]) if np.isfinite(closer).all() else box


# --- interference -------------------------------------------------------------------------------------------


def disturbed(face: Corpus, **severities: float) -> Corpus:
    """Return framed faces with their light and tones changed and their regions covered, in this order.

    ``mouth``, ``eyes`` and ``tones`` are in [0, 1] and ``light`` in [-1, 1]; see
    :func:`fer_lib.features.robustness.disturb`. Landmarks stay those of the undisturbed faces.
    """
    for name in severities:
        one_of(name, INTERFERENCE, "interference")
    light = severities.get("light", 0.0)
    steps = {
        "high_brightness": max(light, 0.0),
        "low_brightness": max(-light, 0.0),
        "color_distortion": severities.get("tones", 0.0),
        "occlusion_mouth": severities.get("mouth", 0.0),
        "occlusion_eye": severities.get("eyes", 0.0),
    }
    images, points = torch.as_tensor(face.images), torch.as_tensor(face.landmarks)
    for condition, severity in steps.items():
        images = robustness.disturb(images, condition, severity, points)
    return replace(face, images=images.numpy())


def along(face: Corpus, name: str, steps: int = 11, **others: float) -> tuple[np.ndarray, Corpus]:
    """Return the severities of one kind of interference and the face at each; the others stay as they are."""
    lowest = INTERFERENCE[one_of(name, INTERFERENCE, "interference")][1]
    severities = np.linspace(lowest, 1, steps)
    images = [disturbed(face, **others | {name: float(s)}).images for s in severities]
    columns = {"images": np.concatenate(images)}
    columns |= {k: np.repeat(getattr(face, k), steps, axis=0) for k in ("labels", "landmarks")}
    unknown = dict.fromkeys(("subjects", "sequences", "split", "valid"))
    return severities, replace(face, ids=np.arange(steps).astype(str), **columns, **unknown)
