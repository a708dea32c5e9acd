"""Charts of training: loss and accuracy by epoch, accuracy by the number of training images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fer_lib.show.pages import called
from fer_lib.show.plots.style import INK, MUTED, WIDTH, colours, legend, styled, subplots

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCURACIES = {  # column: (label, line style, width)
    "train_accuracy": ("training", (0, (1, 1)), 1.4),
    "validation_accuracy": ("validation", (0, (4, 1.5)), 1.4),
    "test_accuracy": ("test", "-", 2.0),
}
LEVELS = {  # column: (label, line style, colour)
    "claimed": ("claimed", (0, (6, 2, 1, 2)), INK),
    "majority": ("always the commonest class", "-", MUTED),
}


@styled
def curves(frame: pd.DataFrame) -> Figure:
    """Draw the training loss of all models, then one panel of accuracies per model.

    ``frame`` has the columns ``model``, ``fold``, ``epoch`` and any of ``train_loss``,
    ``train_accuracy``, ``validation_accuracy``, ``test_accuracy`` (fractions; NaN where not measured).
    With several folds, the strong line is their mean and thin lines are the folds. Where it has the columns
    ``claimed`` and ``majority`` (fractions), a level line says what the paper prints of the network and what
    always naming the commonest class gives.
    """
    from matplotlib.lines import Line2D

    tints = colours(frame["model"])
    known = frame.columns[frame.notna().any()]
    accuracies = {name: look for name, look in ACCURACIES.items() if name in known}
    levels = {name: look for name, look in LEVELS.items() if name in known and accuracies}
    figure, loss, panels = _panels(list(tints), "train_loss" in known, bool(accuracies))
    for model, part in frame.groupby("model", sort=False):
        for name, (_, line, tint) in levels.items():
            panels[model].axhline(100 * part[name].iloc[0], ls=line, color=tint, lw=1.1)
        if loss:
            _fold_lines(loss, part, "train_loss", tints[model], "-", 1.8)
        for name, (_, line, width) in accuracies.items():
            scaled = part.assign(**{name: 100 * part[name]})
            _fold_lines(panels[model], scaled, name, tints[model], line, width)
    if loss:
        loss.set(xlabel="Epoch", ylabel="Training loss", ylim=(0, None))
        if len(tints) > 1:
            legend(figure, list(tints.items()), 4, marker="", ls="-", lw=2)
    if accuracies:
        styles = [(label, line, width, INK) for label, line, width in accuracies.values()]
        styles += [(label, line, 1.1, tint) for label, line, tint in levels.values()]
        handles = [Line2D([], [], color=tint, ls=line, lw=w, label=label) for label, line, w, tint in styles]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=2)
    return figure


def _panels(models: list[str], loss: bool, accuracy: bool) -> tuple[Figure, Axes | None, dict[str, Axes]]:
    """Return the figure, the axes of the loss (or None) and those of the accuracy per model."""
    from matplotlib import pyplot as plt

    wide = min(2, len(models))
    grid = [["the loss"] * wide] if loss else []
    if accuracy:
        names = [*models, *["."] * (-len(models) % wide)]
        grid += [names[i : i + wide] for i in range(0, len(names), wide)]
    height = 2.5 * loss + (len(grid) - loss) * (1.85 if wide > 1 else 2.8)
    figure, axes = plt.subplot_mosaic(grid, figsize=(WIDTH, height + 0.3))
    plt.close(figure)
    for panel in axes.values():
        panel.grid(axis="y")
        panel.xaxis.get_major_locator().set_params(integer=True)
    panels = {model: axes[model] for model in models if accuracy}
    for i, (model, panel) in enumerate(panels.items()):
        panel.sharey(panels[models[0]])
        panel.set_title(called(model), fontsize=10)
        first, lowest = i % wide == 0, i + wide >= len(models)
        panel.tick_params(labelleft=first, labelbottom=lowest)
        panel.set(ylabel="Accuracy (%)" * first, xlabel="Epoch" * lowest)
    return figure, axes.get("the loss"), panels


def _fold_lines(axes: Axes, part: pd.DataFrame, name: str, colour: str, line: Any, width: float) -> None:
    """Draw a model's mean over folds, and the single folds thinly."""
    part = part.dropna(subset=[name])
    folds = [fold for _, fold in part.groupby("fold")]
    for fold in folds if len(folds) > 1 else []:
        axes.plot(fold["epoch"], fold[name], color=colour, lw=0.6, alpha=0.35)
    mean = part.groupby("epoch")[name].mean()
    marker = "o" if len(mean) == 1 else None  # one epoch makes no line
    axes.plot(mean.index, mean, color=colour, ls=line, lw=width, marker=marker)


@styled
def learning_size(frame: pd.DataFrame) -> Figure:
    """Draw accuracy against the number of training images (logarithmic), with intervals.

    ``frame`` has the columns ``n``, ``model``, ``accuracy`` and, if known, ``low`` and ``high`` (fractions).
    """
    tints = colours(frame["model"])
    figure, axes = subplots(4.0)
    for model, tint in tints.items():
        part = frame[frame["model"] == model].sort_values("n")
        axes.plot(part["n"], 100 * part["accuracy"], "o-", color=tint, lw=2, ms=6, mec="white")
        if {"low", "high"} <= set(part):
            axes.fill_between(part["n"], 100 * part["low"], 100 * part["high"], color=tint, alpha=0.15, lw=0)
    axes.set_xscale("log")
    axes.set_xticks(sorted(frame["n"].unique()), minor=False)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.set(xlabel="Training images", ylabel="Accuracy (%)")
    axes.grid(axis="y")
    legend(figure, list(tints.items()), marker="o")
    return figure
