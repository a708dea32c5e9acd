"""The one style of all figures: colours, fonts, sizes and legends."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fer_lib.show.pages import called

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 6.4  # inches, of every figure
INK, MUTED, FAINT = "#222222", "#6b6b6b", "#dedede"
MARK = "#ff5a1f"  # of points drawn on grey images
SMALL = 9  # points; at 390 pixels about 8 pixels

EXPRESSION_STYLE = {  # colour, marker
    "anger": ("#d55e00", "s"),
    "disgust": ("#009e73", "D"),
    "fear": ("#aa4499", "v"),
    "happiness": ("#e69f00", "o"),
    "sadness": ("#0072b2", "^"),
    "surprise": ("#56b4e9", "P"),
    "neutral": ("#8a8a8a", "X"),
    "contempt": ("#4a3228", "*"),
}
MODEL_COLOURS = {
    "C1": "#6baed6",
    "C2": "#2b7bba",
    "C3": "#083d7f",
    "C1 again": "#80cdc1",
    "C2 again": "#35978f",
    "C3 again": "#01665e",
    "CNN-ONLY of six": "#4d9221",
    "S1": "#f5984a",
    "S2": "#d95f0e",
    "S3": "#7f2704",
    "CNN-ONLY": "#1a1a1a",
    "CNN-SIFT": "#c8500a",
    "CNN-SIFT-AVG": "#4477aa",
    **dict.fromkeys(("OURS", "Multimodal"), "#ee6677"),
    "OURS without CBAM": "#c06c94",
    **dict.fromkeys(("VGG", "VGG19"), "#2233cc"),
    **dict.fromkeys(("ResNet", "ResNet18"), "#228833"),
    **dict.fromkeys(("SVM", "HOG-SVM"), "#6b6b6b"),
    "Pramerdorfer": "#a0761a",
    "Agrawal": "#2a9db5",
    "image": "#ddaa33",
    "landmarks": "#009988",
    "HOG": "#882255",
    "image+landmarks": "#7a7a00",
    "image+HOG": "#b3501e",
    "landmarks+HOG": "#5e4fa2",
    "Benchmark": "#8a8a8a",
    "SmallKernels": "#56b4e9",
    "Plain7CNN": "#0072b2",
    "Plain8CNN": "#aa4499",
    "C-SPP": "#c08a00",
    "c1": "#332288",
    **dict.fromkeys(("c2", "3D-CNN"), "#117733"),
    "c3": "#7b6fc4",
    "c4": "#44aa77",
    "Baseline 1": "#e69f00",
    "Baseline 2": "#009e73",
    **dict.fromkeys(("Our method", "LKRNet"), "#4a3228"),
}
"""One colour for each network, in every figure of the book; a paper has that of its own network."""
OTHER_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#e69f00", "#56b4e9", "#4a3228", "#8a8a8a")
STYLE = {
    "figure.dpi": 200,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.solid_capstyle": "round",
}


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Run a figure function in the house style, whatever the caller's settings are."""

    @functools.wraps(draw)
    def drawn(*arguments: Any, **options: Any) -> Figure:
        import matplotlib.style

        with matplotlib.style.context(["default", STYLE]):
            return draw(*arguments, **options)

    return drawn


def subplots(height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """``pyplot.subplots`` (which makes notebooks able to show figures), closed at once in pyplot."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), **options)
    plt.close(figure)
    return figure, axes


def colours(models: Iterable[str]) -> dict[str, str]:
    """Return a colour per model: the fixed one, else one by its place among the unknown, sorted names."""
    names = list(dict.fromkeys(models))
    others = sorted(name for name in names if name not in MODEL_COLOURS)
    extra = {name: OTHER_COLOURS[i % len(OTHER_COLOURS)] for i, name in enumerate(others)}
    return {name: MODEL_COLOURS.get(name) or extra[name] for name in names}


def class_looks(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Return colour and marker per class; names that are no expressions (subjects, say) get some too."""
    spare = [(colour, marker) for marker in "osD^vP" for colour in OTHER_COLOURS]
    return [EXPRESSION_STYLE.get(name, spare[i % len(spare)]) for i, name in enumerate(classes)]


def mix(colour: str, share: float) -> tuple[float, ...]:
    """Return ``colour`` thinned with white, ``share`` of it left."""
    from matplotlib.colors import to_rgb

    return tuple(1 - share * (1 - channel) for channel in to_rgb(colour))


def rows(axes: Axes, names: Sequence[str] | None = None, **look: Any) -> None:
    """Make a chart of horizontal lines or bars, named at the left where names are given."""
    if names is not None:
        axes.set_yticks(range(len(names)), names, **look)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)


def legend(figure: Figure, entries: Sequence[tuple[str, Any]], columns: int = 5, **style: Any) -> None:
    """Put a legend of coloured squares (or what ``style`` says) above the axes, where it fits."""
    from matplotlib.lines import Line2D

    style = {"marker": "s", "ls": "", "ms": 8, **style}
    handles = [Line2D([], [], color=colour, label=called(name), **style) for name, colour in entries]
    columns = min(columns, max(1, 80 // (5 + max(len(handle.get_label()) for handle in handles))))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=columns, handletextpad=0.4, columnspacing=1.4
    )
