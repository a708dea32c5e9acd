"""What the explore panel says and shows of a face and a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from fer_lib.data.corpus import Corpus
from fer_lib.features import hog
from fer_lib.papers.lkrnet import key_regions
from fer_lib.play import explore_pictures as pictures
from fer_lib.play.explore_faces import INTERFERENCE, SIDE, Collection, Photograph
from fer_lib.play.explore_models import SmallNetwork
from fer_lib.play.explore_words import Words

PHOTO_SIDE = 320  # pixels of a photograph as it is shown


@dataclass(frozen=True, eq=False)
class Line:
    """The answers along one slider: its key and title, severities ``(S,)``, probabilities ``(S, C)``."""

    name: str
    title: str
    severities: np.ndarray
    probabilities: np.ndarray


def about(network: SmallNetwork, collection: Collection, photo: bool) -> str:
    """Say what the network is, how well it does on faces it has not seen, and what that is not."""
    people = collection.train.subjects
    of = "" if people is None else f" of {len(np.unique(people))} people"
    taken = "under a second" if network.seconds < 1 else f"{network.seconds:.0f} s"
    right = f"{network.accuracy:.0%} [{network.low:.0%}, {network.high:.0%}] of {network.n:,} held-out faces"
    text = (
        f"{network.kind.title}, {network.kind.cut}, trained here for {taken} on {len(collection.train):,} "
        f"faces{of}. Right on {right} of {collection.held_out_by}; guessing is right on "
        f"{1 / len(network.classes):.0%}. How long it trains was set with an eye on these faces, so this "
        "flatters. It is not the chapter’s network, and no result of it."
    )
    if collection.train.card.synthetic:
        text += " The faces are drawn."
    if collection.missed:
        text += f" Images without a face that dlib finds are left out: {collection.missed:,}."
    if photo:
        text += " Of your photo it knows what these faces taught it and no more: its answer is play."
    return pictures.page(pictures.said(text))


def answer(network: SmallNetwork, disturbed: Corpus, truth: str | None, line: Line, here: float) -> str:
    """Show the probabilities of the face as the sliders have it, and those along one slider."""
    (probabilities,) = network.probabilities(disturbed)
    _, low, high = INTERFERENCE[line.name]
    return pictures.page(
        pictures.tiles(
            pictures.bars(probabilities, network.classes, truth),
            pictures.sweep(
                line.severities,
                line.probabilities,
                network.classes,
                here,
                (low, high),
                f"The answer along “{line.title}”, in the bars’ colours",
            ),
        )
    )


def figures(
    face: Corpus,
    disturbed: Corpus,
    truth: str | None,
    network: SmallNetwork,
    target: int | None,
    words: Words,
    photo: Photograph | None,
) -> Iterator[str]:
    """Yield the figures, one by one: face, landmarks, evidence, key regions, HOG, SIFT words."""
    if photo is not None:
        yield _photo(photo)
    who = "level, cropped by the eyes"
    if photo is None:
        who = f"{truth}, {face.ids[0] if face.subjects is None else face.subjects[0]}"
    yield pictures.tile("The face", face.images[0], note=who)
    (image,), (points,) = disturbed.images, face.landmarks
    yield pictures.tile("Landmarks", image, pictures.dots(points), "68 points of the face undisturbed")
    yield from _evidence(network, disturbed, target)
    yield _regions(disturbed)
    (drawn,) = hog.render(torch.as_tensor(disturbed.images)).numpy()
    yield pictures.tile("HOG", drawn / max(drawn.max(), 1e-6), note="strokes along edges, 8-pixel cells")
    found, names, common = words.of(image)
    note = f"{len(found)} keypoints, the {len(common)} commonest words in colour"
    yield pictures.tile("SIFT words", image, pictures.keypoints(found, names, common), note)
    if common:
        strips = pictures.strips([words.patches[word] for word in common])
        yield pictures.tile("The same words in training faces", strips, wide=True)


def _photo(photo: Photograph) -> str:
    import cv2

    scale = min(1.0, PHOTO_SIDE / max(photo.pixels.shape))
    small = cv2.resize(photo.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    box = pictures.box(photo.box * scale, max(small.shape))
    return pictures.tile("Your photo", small, box, "in grey, with the face that was found")


def _evidence(network: SmallNetwork, disturbed: Corpus, target: int | None) -> Iterator[str]:
    (seen,) = network.seen(disturbed)
    maps = network.evidence(disturbed, target)
    if maps is None:
        yield pictures.tile("Grad-CAM", seen, note="none: this model has no convolution")
        return
    yield pictures.tile("What the network reads", seen, note="its image, as it is normalised")
    code = int(network.probabilities(disturbed)[0].argmax()) if target is None else target
    note = "bright is what speaks for it" if maps[0].any() else "nothing in this layer speaks for it"
    yield pictures.tile(f"Grad-CAM: {network.classes[code]}", pictures.heat(seen, maps[0]), note=note)


def _regions(disturbed: Corpus) -> str:
    geometry = torch.as_tensor(key_regions.geometry_of(disturbed, SIDE)[0])
    mask = key_regions.KeyRegions().draw(geometry, SIDE)[0, 0].numpy()
    shown = disturbed.images[0] / 255 * (0.25 + 0.75 * mask)
    dots = pictures.dots(geometry[0, :5].numpy(), 0.8)
    return pictures.tile("Key regions", shown, dots, "weights around five points (paper 5)")
