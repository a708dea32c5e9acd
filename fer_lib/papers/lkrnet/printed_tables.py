"""The tables that the paper ``lkrnet`` prints, beside its text and beside a run.

Tables 2 and 3 give whole per cents per class; Sect. 4.3.4 gives differences of accuracies to three decimals,
whose accuracies are printed nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_lib import claims
from fer_lib.errors import one_of
from fer_lib.judge import forensics

if TYPE_CHECKING:
    import pandas as pd

TABLES = {"ckplus": "Table 2", "fer2013": "Table 3"}


def printed(dataset: str) -> pd.DataFrame:
    """Return a table's accuracies in per cent: models in rows, expressions in columns, in print order."""
    frame = claims.frame("lkrnet")
    frame = frame[frame["table"] == TABLES[one_of(dataset, TABLES, "dataset of this paper")]]
    wide = frame.pivot_table(index="model", columns="expression", values="value", sort=False, dropna=False)
    return wide.loc[list(dict.fromkeys(frame["model"])), list(dict.fromkeys(frame["expression"]))]


def gains() -> pd.DataFrame:
    """Return the printed differences between the authors' networks beside what is printed elsewhere.

    Returns
    -------
    pandas.DataFrame
        One row per printed difference, in points: ``dataset`` and ``comparison``, ``printed``; ``class mean``
        and ``weighted`` (by class size), from the tables; ``from the others``, the two printed differences
        over VGG19 subtracted; ``agrees`` (bool), whether the rounding of the tables admits one of the means.
    """
    found, chains = forensics.differences("lkrnet"), forensics.chains("lkrnet")
    found["from the others"] = found["id"].map(chains.set_index("id")["implied"])
    names = {"from_class_means": "class mean", "from_weighted_classes": "weighted", "model": "comparison"}
    columns = ["dataset", "comparison", "printed", "class mean", "weighted", "from the others", "agrees"]
    return found.rename(columns=names)[columns]


def beside(dataset: str, recalls: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the printed per-class accuracies, and under each of the authors' networks those of a run.

    Parameters
    ----------
    recalls : DataFrame, optional
        ``model``, ``expression`` and ``recall`` (fractions), as
        :meth:`fer_lib.show.results.Results.recalls` returns them.

    Returns
    -------
    pandas.DataFrame
        ``model``, ``source`` (``printed``, ``quoted`` or ``this run``), one column per expression (per
        cent) and their ``class mean``.
    """
    import pandas as pd

    frame = claims.frame("lkrnet")
    trained = set(frame.loc[frame["ran_by_authors"], "model"])
    table = printed(dataset)
    table.insert(0, "source", ["printed" if name in trained else "quoted" for name in table.index])
    if recalls is not None:
        wide = 100 * recalls.pivot_table(index="model", columns="expression", values="recall", sort=False)
        ours = wide.reindex(columns=table.columns[1:]).assign(source="this run")
        table = pd.concat([table, ours[ours.index.isin(table.index)]])
        order = {name: i for i, name in enumerate(table.index.unique())}
        table = table.sort_index(key=lambda names: names.map(order), kind="stable")
    table["class mean"] = table.drop(columns="source").mean(axis=1, skipna=False)
    return table.rename_axis(index="model", columns=None).reset_index()
