"""Is one network better than another over ten folds? Four tests, on a paper's printed folds and on ours.

Folds of one cross-validation share most of their training data: a plain paired t-test takes its differences
for more independent than they are; the corrected test of Nadeau and Bengio widens their variance by the
ratio of test to training samples. Paper ``cnn3d`` prints p-values without naming its test (ambiguity
``p_value_test``); of the four tests a one-sided paired t-test comes closest to each. Verdicts use the
two-sided paired t-test, since which network is better was not known beforehand. Several comparisons stand in
one table and are not corrected for that, in the paper as here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fer_lib import claims
from fer_lib.judge import verdicts

if TYPE_CHECKING:
    import pandas as pd

LEVEL = verdicts.LEVEL
TESTS = {
    "one_sided": "paired t, one-sided",
    "two_sided": "paired t, two-sided",
    "wilcoxon": "Wilcoxon signed rank, two-sided",
    "corrected": "corrected resampled t, two-sided",
}
FOLD_SIZES = (48, 40, *range(30, 37))  # Oulu-CASIA in both sizes, then CK+


def p_values(better: ArrayLike, worse: ArrayLike, ratio: float | None = None) -> dict[str, float]:
    """Return the p-value of each of :data:`TESTS` for accuracies (k,) on the same folds.

    One-sided, the first is larger. All are NaN if no fold differs. ``ratio`` is test samples per training
    sample, for the corrected test; by default ``1 / (k - 1)``, as in cross-validation.
    """
    from scipy import stats

    better, worse = np.asarray(better, float), np.asarray(worse, float)
    difference, k = better - worse, len(better)
    if not difference.any():
        return dict.fromkeys(TESTS, float("nan"))
    spread = difference.var(ddof=1)
    ratio = 1 / (k - 1) if ratio is None else ratio
    if spread <= 1e-12 * difference.mean() ** 2:  # every fold differs by the same: t has no bound
        one, two, corrected = float(difference.mean() < 0), 0.0, 0.0
    else:
        one = float(stats.ttest_rel(better, worse, alternative="greater").pvalue)
        two = float(stats.ttest_rel(better, worse).pvalue)
        t = difference.mean() / np.sqrt((1 / k + ratio) * spread)
        corrected = float(2 * stats.t.sf(abs(t), k - 1))
    wilcoxon = float(stats.wilcoxon(difference).pvalue)
    return {"one_sided": one, "two_sided": two, "wilcoxon": wilcoxon, "corrected": corrected}


def printed(paper: str = "cnn3d") -> pd.DataFrame:
    """Recompute the p-values that a paper prints from the folds that it prints.

    One row per printed p-value: ``id`` of the claim, ``table``, ``dataset``, ``better`` and ``worse``
    (models), ``printed``, :data:`TESTS` from the folds as printed, and ``from_fractions``: the one-sided
    value after every printed accuracy is taken for the fraction it was cut from (see :func:`fraction`).
    """
    import pandas as pd
    from scipy import stats

    frame = claims.frame(paper)
    folds = frame[frame["fold"].notna() & (frame["metric"] == "accuracy")].sort_values("fold")
    by_row = {key: row.to_numpy(float) for key, row in folds.groupby(["table", "model"])["value"]}
    rows = []
    for claim in frame[frame["metric"] == "p_value"].to_dict("records"):
        better, worse = compared(claim["model"])
        pair = [by_row[claim["table"], model] for model in (better, worse)]
        exact = [[fraction(value) for value in values] for values in pair]
        row = {name: claim[name] for name in ("id", "table", "dataset")}
        row |= {"better": better, "worse": worse, "printed": claim["value"], **p_values(*pair)}
        rows.append(row | {"from_fractions": stats.ttest_rel(*exact, alternative="greater").pvalue})
    return pd.DataFrame(rows)


def compared(model: str) -> tuple[str, str]:
    """Return the better and the worse of a claim's ``c2 against c1``: it names the worse one first."""
    worse, _, better = model.partition(" against ")
    return better, worse


def fraction(percent: float) -> float:
    """Return the accuracy in per cent that was cut to one decimal to be printed: the first that gives it.

    It is a number of right answers over one of :data:`FOLD_SIZES`; a value that none gives stays as it is.
    """
    for n in FOLD_SIZES:
        k = round(percent / 100 * n)
        for right in (k, k + 1):
            if right <= n and int(1000 * right / n + 1e-9) == round(10 * percent):
                return 100 * right / n
    return percent


def fold_table(folds: dict[str, ArrayLike], reference: str, ratio: float) -> pd.DataFrame:
    """Return accuracies by fold and p-values against a reference, as the paper's Tables 4 and 5 do.

    ``folds`` are accuracies (k,) as fractions by model, ``ratio`` as in :func:`p_values`. One row per model:
    ``model``, one column per fold and ``mean`` in per cent, and one per test.
    """
    import pandas as pd

    rows, best = [], 100 * np.asarray(folds[reference], float)
    for model, values in folds.items():
        values = 100 * np.asarray(values, float)
        several = model != reference and len(values) > 1
        tests = p_values(best, values, ratio) if several else dict.fromkeys(TESTS, float("nan"))
        columns = {str(i + 1): value for i, value in enumerate(values)}
        rows.append({"model": model, **columns, "mean": values.mean(), **tests})
    return pd.DataFrame(rows)
