"""Tables 2 and 3 of the paper ``lkrnet``, beside its text (Sect. 4.3.4) and beside a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_lib import claims
from fer_lib.judge import forensics

if TYPE_CHECKING:
    import pandas as pd

TABLES = {"ckplus": "Table 2", "fer2013": "Table 3"}


def gains() -> pd.DataFrame:
    """Return the printed differences between the authors' networks, in points, beside what they follow from.

    ``class mean`` and ``weighted`` (by class size) are from the tables, ``from the others`` from the two
    printed differences over VGG19; ``agrees`` is whether the rounding of the tables admits one of the means.
    """
    found, chains = forensics.differences("lkrnet"), forensics.chains("lkrnet")
    found["from the others"] = found["id"].map(chains.set_index("id")["implied"])
    names = {"from_class_means": "class mean", "from_weighted_classes": "weighted", "model": "comparison"}
    columns = ["dataset", "comparison", "printed", "class mean", "weighted", "from the others", "agrees"]
    return found.rename(columns=names)[columns]


def beside(dataset: str, recalls: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the printed accuracies by class in per cent, under each of the authors' networks those of a run.

    ``recalls`` are those of :meth:`fer_lib.show.results.Results.recalls`. ``source`` is ``printed``,
    ``quoted`` or ``this run``.
    """
    import pandas as pd

    frame = claims.frame("lkrnet")
    trained = set(frame.loc[frame["ran_by_authors"], "model"])
    frame = frame[frame["table"] == TABLES[dataset]]
    table = frame.pivot_table(index="model", columns="expression", values="value", sort=False, dropna=False)
    table = table.loc[list(dict.fromkeys(frame["model"])), list(dict.fromkeys(frame["expression"]))]
    table.insert(0, "source", ["printed" if name in trained else "quoted" for name in table.index])
    if recalls is not None:
        wide = 100 * recalls.pivot_table(index="model", columns="expression", values="recall", sort=False)
        ours = wide.reindex(columns=table.columns[1:]).assign(source="this run")
        table = pd.concat([table, ours[ours.index.isin(table.index)]])
        order = {name: i for i, name in enumerate(table.index.unique())}
        table = table.sort_index(key=lambda names: names.map(order), kind="stable")
    table["class mean"] = table.drop(columns="source").mean(axis=1, skipna=False)
    return table.rename_axis(index="model", columns=None).reset_index()
