"""Figures of paper 4: clips as strips, what frames are worth, where the network looks, and its search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fer_lib.show import pages
from fer_lib.show.plots import style
from fer_lib.show.plots.pictures import contact_sheet, grad_cam_grid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

STATES = {"complete": ("#0072b2", "o"), "pruned": ("#d55e00", "x")}
PARAMETERS = (
    *("temporal_size", "dropout", "activation", "pooling", "initialiser", "lookahead", "clahe"),
    *("normalise", "second_conv", "class_weights"),
)


def strips(clips: ArrayLike, names: list[str]) -> Figure:
    """Draw clips (B, T, H, W) as rows of frames, each named under its first frame."""
    clips = np.asarray(clips)
    n = clips.shape[1]
    labels = [name if i == 0 else "" for name in names for i in range(n)]
    return contact_sheet(clips.reshape(-1, *clips.shape[2:]), labels, columns=n)


def copies(clips: ArrayLike, transforms: ArrayLike) -> Figure:
    """Draw copies (B, T, H, W) in [0, 1] as strips, named by flip, degrees and contrast: float (B, 3)."""
    names = [
        "flip" if flip else f"{angle:+.0f}°" if angle else f"× {factor:.2f}" if factor != 1 else "as it is"
        for flip, angle, factor in np.asarray(transforms)
    ]
    return strips((np.clip(np.asarray(clips), 0, 1) * 255).astype(np.uint8), names)


def looks(clips: ArrayLike, maps: ArrayLike, titles: list[str]) -> Iterator[Figure]:
    """Draw every second frame of clips (B, T, H, W) above its Grad-CAM map, four clips a figure."""
    clips, maps = (np.asarray(part)[:, 1::2] for part in (clips, maps))
    n, size = clips.shape[1], clips.shape[2:]
    for start in range(0, len(clips), 4):
        part = slice(start, start + 4)
        above = [title if step == 0 else "\n" for title in titles[part] for step in range(n)]
        yield grad_cam_grid(clips[part].reshape(-1, *size), maps[part].reshape(-1, *size), above, columns=n)


def views(table: pd.DataFrame) -> pd.DataFrame:
    """Return what networks make of clips shown in other ways as text, from a run's table ``views``."""
    import pandas as pd

    points = 100 * table[["difference", "difference_low", "difference_high"]]
    differences = [
        "–" if np.isnan(p) else f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
        for p, (mean, low, high) in zip(table["p"], points.to_numpy(), strict=True)
    ]
    accuracies = [pages.percent(*row) for row in table[["accuracy", "low", "high"]].to_numpy()]
    columns = {"what is shown": table["view"], "accuracy": accuracies}
    columns |= {"points against all frames": differences, "p (McNemar)": table["p"]}
    return pd.DataFrame(columns)


@style.styled
def frames(table: pd.DataFrame) -> Figure:
    """Draw accuracy against the number of last frames shown.

    ``table`` has the columns ``view``, ``accuracy``, ``low`` and ``high`` (fractions). Drawn are the views
    ``all frames`` (ten), ``last <n>``, ``apex alone`` and ``trained on the apex alone``.
    """
    numbers = {"all frames": 10, "apex alone": 1} | {f"last {n}": n for n in range(2, 10)}
    fewer = table.assign(frames=table["view"].map(numbers)).dropna(subset="frames").sort_values("frames")
    alone = table[table["view"] == "trained on the apex alone"].assign(frames=1.12)
    tints = style.colours(["shown fewer, as trained on ten", "trained on the apex"])
    figure, axes = style.subplots(3.4)
    for part, tint in zip((fewer, alone), tints.values(), strict=True):
        axes.plot(part["frames"], 100 * part["accuracy"], marker="o", color=tint)
        axes.vlines(part["frames"], 100 * part["low"], 100 * part["high"], color=tint, alpha=0.5, lw=2)
    axes.set(xlabel="Last frames shown, the apex repeated", ylabel="Accuracy (%)", ylim=(0, 102))
    axes.set_xticks(sorted(fewer["frames"]))
    axes.grid(axis="y")
    style.legend(figure, list(tints.items()), columns=2)
    return figure


@style.styled
def history(trials: pd.DataFrame, threshold: float | None) -> Figure:
    """Draw every trial of a study (``trials``), the best so far and any threshold."""
    figure, axes = style.subplots(3.2)
    for state, (colour, marker) in STATES.items():
        part = trials[trials["state"] == state]
        axes.scatter(part["number"], 100 * part["accuracy"], s=36, c=colour, marker=marker)
    done = trials[trials["state"] == "complete"]
    if len(done):
        axes.step(done["number"], 100 * done["accuracy"].cummax(), where="post", color=style.INK, lw=1.2)
    if threshold is not None:
        axes.axhline(100 * threshold, color=style.MUTED, lw=0.9, ls=":")
        look = {"ha": "right", "va": "bottom", "color": style.MUTED, "fontsize": style.SMALL}
        axes.annotate("pruned below", (1.0, 100 * threshold), xycoords=("axes fraction", "data"), **look)
    axes.set(xlabel="Trial", ylabel="Accuracy (%)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y")
    style.legend(figure, [(state, colour) for state, (colour, _) in STATES.items()])
    return figure


@style.styled
def importances(shares: dict[str, float]) -> Figure:
    """Draw how much each parameter decides the accuracy (:func:`fer_lib.papers.cnn3d.search.importances`)."""
    names = [name.replace("_", " ") for name in shares]
    figure, axes = style.subplots(0.8 + 0.3 * len(names))
    axes.barh(names, list(shares.values()), color=style.OTHER_COLOURS[0], height=0.7)
    axes.set(xlabel="Share of the variance of accuracy (fANOVA)", xlim=(0, 1))
    axes.invert_yaxis()
    style.rows(axes)
    return figure


@style.styled
def slices(trials: pd.DataFrame) -> Figure:
    """Draw the accuracy of every trial against each searched option, one panel per option.

    Of a pruned trial the accuracy is what it could still have reached. Points of one option are spread a
    little, the same way every time.
    """
    trials = trials[trials["state"].isin(("complete", "pruned"))]
    down = -(-len(PARAMETERS) // 2)
    figure, panels = style.subplots(1.75 * down, down, 2, sharey=True)
    spread = np.random.default_rng(0).uniform(-0.15, 0.15, len(trials))
    for axes, name in zip(panels.flat, PARAMETERS, strict=True):
        places = trials[name]
        if name != "dropout":
            options = sorted(places.dropna().unique(), key=str)
            places = places.map({option: i for i, option in enumerate(options)}) + spread
            words = [str(option).replace("xavier_", "X. ").replace("_", "\n") for option in options]
            axes.set_xticks(range(len(options)), words, fontsize=style.SMALL)
            axes.set_xlim(-0.5, len(options) - 0.5)
        for state, (colour, marker) in STATES.items():
            here = trials["state"] == state
            axes.scatter(places[here], 100 * trials["accuracy"][here], s=18, c=colour, marker=marker)
        axes.set_title(name.replace("_", " "))
        axes.grid(axis="y")
    for row in panels:
        row[0].set_ylabel("Accuracy (%)")
    style.legend(figure, [(state, colour) for state, (colour, _) in STATES.items()])
    return figure
