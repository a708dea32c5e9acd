"""What the tables that the paper ``lkrnet`` prints imply, beside what its text says of them.

Tables 2 and 3 give whole per cents per class; Sect. 4.3.4 gives differences of accuracies to three decimals,
whose accuracies are printed nowhere. Both ways of averaging a table's classes are tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fer_lib import claims
from fer_lib.data.datasets import ckplus
from fer_lib.errors import one_of
from fer_lib.expressions import canonical

if TYPE_CHECKING:
    import pandas as pd

TABLES = {"ckplus": "Table 2", "fer2013": "Table 3"}
ROUNDING = 1.0  # whole per cents are off by up to half a point, so the difference of two means by up to one


def printed(dataset: str, ours: bool = False) -> pd.DataFrame:
    """Return a table's accuracies in per cent, models in rows, expressions in columns, both in print order.

    Parameters
    ----------
    dataset : {"ckplus", "fer2013"}
    ours : bool
        Only the four networks that the authors trained, not the figures quoted from other work.
    """
    frame = claims.frame("lkrnet")
    frame = frame[frame["table"] == TABLES[one_of(dataset, TABLES, "dataset of this paper")]]
    if ours:
        frame = frame[frame["ran_by_authors"]]
    wide = frame.pivot_table(index="model", columns="expression", values="value", sort=False, dropna=False)
    return wide.loc[list(dict.fromkeys(frame["model"])), list(dict.fromkeys(frame["expression"]))]


def class_counts(dataset: str) -> dict[str, int]:
    """Return the number of test images of each expression, or, on CK+, of labelled sequences."""
    if one_of(dataset, TABLES, "dataset of this paper") == "ckplus":
        return dict(ckplus.PER_CLASS)
    counts = claims.load("lkrnet").protocol("fer2013_official")["class_counts"]
    return {canonical(name): n for name, n in counts.items()}


def gains(dataset: str) -> pd.DataFrame:
    """Return the printed differences between the authors' networks beside what follows from their table.

    Returns
    -------
    pandas.DataFrame
        One row per printed difference, in points: ``comparison``, ``printed``; ``class mean`` and
        ``weighted`` (by class size), recomputed from the table; ``from the others``, where the printed
        differences over VGG19 imply this one, and ``as ratios``, what they imply if a gain is meant in per
        cent of the lower accuracy; ``agrees``, the means that the rounding of the table admits.
    """
    import pandas as pd

    table = printed(dataset, ours=True)
    size = pd.Series(class_counts(dataset))[table.columns]
    means = {"class mean": table.mean(axis=1), "weighted": table @ size / size.sum()}
    frame = claims.frame("lkrnet").query("metric == 'accuracy_difference' and corpus == @dataset")
    over_vgg = {
        m.partition(" minus ")[0]: v
        for m, v in zip(frame["model"], frame["value"], strict=True)
        if m.endswith(" minus VGG19")
    }
    rows = []
    for name, value in zip(frame["model"], frame["value"], strict=True):
        left, _, right = name.partition(" minus ")
        implied = {kind: mean[left] - mean[right] for kind, mean in means.items()}
        others = ratio = np.nan
        if right in over_vgg:
            others = over_vgg[left] - over_vgg[right]
            ratio = 100 * ((100 + over_vgg[left]) / (100 + over_vgg[right]) - 1)
        fits = [kind for kind, gain in implied.items() if abs(gain - value) <= ROUNDING]
        row = {"comparison": name, "printed": value, **implied, "from the others": others}
        row |= {"as ratios": ratio}
        rows.append(row | {"agrees": " and ".join(fits) or "neither"})
    return pd.DataFrame(rows)


def over_quoted(dataset: str, expression: str) -> dict[str, float]:
    """Return by how many points the printed accuracy of the method exceeds, on one expression, the others.

    Returns
    -------
    dict
        ``quoted``, over the best figure quoted from other work; ``VGG19``, over the authors' own VGG19.
    """
    column, own = printed(dataset)[expression], printed(dataset, ours=True).index
    ours = column["Our method"]
    return {"quoted": float(ours - column.drop(own).max()), "VGG19": float(ours - column["VGG19"])}


def beside(dataset: str, recalls: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the printed per-class accuracies, and under each of the authors' networks those of a run.

    Parameters
    ----------
    recalls : DataFrame, optional
        ``model``, ``expression`` and ``recall`` (fractions), as
        :meth:`fer_lib.show.study.Results.recalls` returns them.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``source`` (``printed``, ``quoted`` or ``this run``), one column per expression (per
        cent) and their ``class mean``.
    """
    import pandas as pd

    table, trained = printed(dataset), printed(dataset, ours=True).index
    measured = {}
    if recalls is not None:
        wide = recalls.pivot_table(index="model", columns="expression", values="recall", sort=False)
        measured = {model: 100 * wide.loc[model] for model in wide.index}
    rows = []
    for model, values in table.iterrows():
        rows.append((model, "printed" if model in trained else "quoted", values))
        if model in measured:
            rows.append((model, "this run", measured[model].reindex(table.columns)))
    frame = pd.DataFrame([values for _, _, values in rows]).reset_index(drop=True).rename_axis(columns=None)
    frame["class mean"] = frame.mean(axis=1, skipna=False)
    frame.insert(0, "source", [source for _, source, _ in rows])
    frame.insert(0, "model", [model for model, _, _ in rows])
    return frame
