"""The picture of the explore panel: what a network answers to a face, and what there is to see in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from fer_lib.data.corpus import Corpus
from fer_lib.features import hog
from fer_lib.papers.lkrnet.key_regions import KeyRegions, geometry_of
from fer_lib.play import explore_faces
from fer_lib.play.explore_faces import INTERFERENCE, Collection, Photograph, Words, disturbed
from fer_lib.play.explore_models import Explored
from fer_lib.play.zoo import SIZE
from fer_lib.show.plots.style import EXPRESSION_STYLE, INK, MARK, MUTED, SMALL, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WORD_COLOURS = ("#ff5a1f", "#2fb5e9", "#b6e61d")  # of visual words, on grey pixels
INCHES = (9.2, 7.8)


@styled
def picture(
    title: str,
    face: Corpus,
    collection: Collection,
    networks: list[Explored | None],
    severities: dict[str, float],
    along: str,
    target: str | None = None,
    photo: Photograph | None = None,
) -> Figure:
    """Draw bars and a curve of the answers, and eight pictures of the face, each always in its place.

    Of two networks there are two rows of bars and two kinds of lines, and what the second makes of the face
    takes the place of the SIFT words.

    ``face`` is one framed face, undisturbed, of ``collection`` or ``photo``; a network that is not trained
    is None. ``severities`` are those of :func:`fer_lib.play.explore_faces.disturbed`; the curve follows the
    one called ``along``. ``target`` is the class whose evidence is wanted, by default the answer.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=INCHES, dpi=100, layout="none")
    figure.text(0.012, 0.985, title, va="top", fontweight="bold")
    n = len(networks)
    spaces = {"wspace": 0.28 if n == 1 else 0.5, "width_ratios": (*[2 / n] * n, 2)}
    top = figure.add_gridspec(1, n + 1, left=0.13, right=0.985, bottom=0.705, top=0.9, **spaces)
    changed = disturbed(face, **severities)
    truth = None if photo else face.classes[face.labels[0]]
    for place, network in enumerate(networks):
        title = "Answer" if n == 1 else ("The first", "The one beside it")[place]
        _bars(figure.add_subplot(top[place]), network, changed, truth, title)
    _curve(figure.add_subplot(top[n]), face, networks, severities, along)

    tiles = figure.add_gridspec(2, 4, left=0.012, right=0.985, bottom=0.04, top=0.59, wspace=0, hspace=0.3)
    axes = [figure.add_subplot(place) for place in tiles]
    (image,), (points,) = changed.images, face.landmarks
    if photo:
        _tile(axes[0], photo.pixels, "Your photo", "in grey; the frame is the face")
        axes[0].add_patch(Rectangle(photo.box[:2], *photo.box[2:], fill=False, edgecolor=MARK))
    else:
        whose = (face.ids if face.subjects is None else face.subjects)[0]
        _tile(axes[0], face.images[0], "The face", f"{truth}, {whose}")
    _tile(axes[1], image, "Landmarks", "68 points of the face undisturbed")
    axes[1].scatter(*points.T, s=3, color=MARK, zorder=2)
    _evidence(axes[2:4], networks[0], changed, target)
    geometry = torch.as_tensor(geometry_of(changed, SIZE)[0])
    mask = KeyRegions().draw(geometry, SIZE)[0, 0].numpy()
    _tile(axes[4], image / 255 * (0.25 + 0.75 * mask), "Key regions", "weights around five points (paper 5)")
    axes[4].scatter(*geometry[0, :5].T, s=9, color=MARK, zorder=2)
    (drawn,) = hog.render(torch.as_tensor(changed.images)).numpy()
    _tile(axes[5], drawn / max(drawn.max(), 1e-6), "HOG", "strokes along edges, 8-pixel cells")
    if n == 1:
        _words(axes[6:8], image, collection.words)
    else:
        _evidence(axes[6:8], networks[1], changed, target, "the other")
    return figure


def _bars(axes: Axes, network: Explored | None, face: Corpus, truth: str | None, title: str) -> None:
    axes.set_title(title, fontsize=11)
    if network is None:
        axes.text(0, 0.5, "This network is\nnot trained yet: press\nthe button to train it.", color=MUTED)
        axes.set_axis_off()
        return
    answers, classes = network.probabilities(face)[0], network.classes
    places, best = np.arange(len(classes))[::-1], int(answers.argmax())
    axes.barh(places, 100 * answers, color=[EXPRESSION_STYLE[name][0] for name in classes])
    axes.set_yticks(places, [f"{name} ✓" if name == truth else name for name in classes])
    for i, (place, chance) in enumerate(zip(places, 100 * answers, strict=True)):
        weight = "bold" if i == best else "normal"
        axes.text(chance + 1.5, place, f"{chance:.1f} %", va="center", fontsize=SMALL, fontweight=weight)
        axes.get_yticklabels()[i].set_fontweight(weight)
    axes.set_xlim(0, 118)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _curve(
    axes: Axes, face: Corpus, networks: list[Explored | None], severities: dict[str, float], name: str
) -> None:
    """Draw the answers along one slider, the others staying as they are; lines that rise are named.

    A second network's lines are dotted.
    """
    label, low, *ends = INTERFERENCE[name]
    axes.set_title(f"Along “{label}”", fontsize=11)
    axes.set(xlim=(low, 1), ylim=(0, 102), yticks=[0, 50, 100], ylabel="Probability (%)")
    axes.set_xlabel(label, labelpad=-8)
    axes.set_xticks([low, 1], ends)
    for text, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        text.set_horizontalalignment(side)
    axes.grid(axis="y")
    axes.axvline(severities[name], color=INK, ls=(0, (3, 3)), lw=1)
    steps, series = explore_faces.along(face, name, **severities)
    for network, style in zip(networks, ("-", ":"), strict=False):
        chances = [] if network is None else 100 * network.probabilities(series).T
        for expression, line in zip(network.classes if network else (), chances, strict=True):
            tint, highest = EXPRESSION_STYLE[expression][0], int(line.argmax())
            axes.plot(steps, line, style, color=tint, lw=2)
            if line[highest] > 25:
                side = ("left", "center", "right")[(highest > 3) + (highest > 7)]
                place, lift = (steps[highest], line[highest]), (0, -12 if line[highest] > 85 else 4)
                look = {"ha": side, "fontsize": SMALL, "color": tint}
                axes.annotate(expression, place, lift, textcoords="offset points", **look)


def _tile(axes: Axes, pixels: np.ndarray, title: str, note: str) -> None:
    """Show pixels without smoothing, grey (H, W) or colours (H, W, 3), with a title and a line below."""
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255 if pixels.dtype == np.uint8 else 1)
    axes.autoscale(False)  # what is drawn over them may leave them
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(note, fontsize=8, labelpad=3)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _evidence(
    axes: list[Axes], network: Explored | None, face: Corpus, target: str | None, which: str = "the network"
) -> None:
    blank, reads = np.ones((SIZE, SIZE)), f"What {which} reads"
    if network is None:
        _tile(axes[0], blank, reads, "once it is trained")
        _tile(axes[1], blank, "Grad-CAM", "once it is trained")
        return
    code = network.classes.index(target) if target in network.classes else None
    (seen,), maps = network.seen(face), network.evidence(face, code)
    if maps is None:
        _tile(axes[0], seen, reads, "the HOG of this image")
        _tile(axes[1], blank, "Grad-CAM", "none: this model has no convolution")
        return
    _tile(axes[0], seen, reads, "its image, as it is normalised")
    code = network.probabilities(face)[0].argmax() if code is None else code
    note = "bright is what speaks for it" if maps[0].any() else "nothing in this layer speaks for it"
    _tile(axes[1], seen, f"Grad-CAM: {network.classes[code]}", note)
    # The face stays visible where there is little evidence.
    axes[1].imshow(maps[0], cmap="inferno", vmin=0, vmax=1, alpha=0.75 * np.sqrt(maps[0]))


def _words(axes: list[Axes], image: np.ndarray, words: Words) -> None:
    from matplotlib.collections import EllipseCollection, LineCollection

    keypoints, found, common = words.of(image)
    note = f"{len(found)} keypoints, commonest in colour"
    _tile(axes[0], image, "SIFT words", note)
    x, y, size, angle = keypoints.T
    tints = [WORD_COLOURS[common.index(w)] if w in common else "#ffffff" for w in found]
    widths = [1.6 if w in common else 0.6 for w in found]
    ends = np.stack([x + size / 2 * np.cos(np.deg2rad(angle)), y + size / 2 * np.sin(np.deg2rad(angle))], 1)
    look = {"linewidths": widths, "zorder": 2}
    circles = {"units": "xy", "offsets": keypoints[:, :2], "offset_transform": axes[0].transData}
    axes[0].add_collection(
        EllipseCollection(size, size, 0 * size, facecolors="none", edgecolors=tints, **circles, **look)
    )
    axes[0].add_collection(LineCollection(np.stack([keypoints[:, :2], ends], 1), colors=tints, **look))
    _tile(axes[1], _strips([words.patches[w] for w in common]), "The same words", "in training faces")


def _strips(patches: list[np.ndarray], columns: int = 5) -> np.ndarray:
    """Return patches (P, s, s) of each word, in two rows behind a bar of its colour, as one square."""
    from matplotlib.colors import to_rgb

    sheet = np.ones((96, 96, 3))
    for i, (colour, found) in enumerate(zip(WORD_COLOURS, patches, strict=False)):
        side = found.shape[1]
        step, top = 90 // columns, 32 * i
        sheet[top : top + 30, :3] = to_rgb(colour)
        for j, patch in enumerate(found[: 2 * columns]):
            row, left = top + 15 * (j // columns), 5 + step * (j % columns)
            cell = patch[:: -(-side // 14), :: -(-side // 14)][:14, :14] / 255
            sheet[row : row + len(cell), left : left + cell.shape[1]] = cell[..., None]
    return sheet
