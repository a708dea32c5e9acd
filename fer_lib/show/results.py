"""The test predictions of one run as its evidence stores them, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fer_lib.data.corpus import Corpus, flags
from fer_lib.data.splits import Fold
from fer_lib.evidence.recorder import Recorder
from fer_lib.judge import headlines
from fer_lib.learn import embeddings, metrics
from fer_lib.show import pages, plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Results:
    """The test predictions of one run on its corpus; ``recorder`` keeps them, its samples and its curves.

    ``protocols`` are folds by name; the first is the paper's, models of others are ``<model>@<protocol>``.
    """

    def __init__(self, corpus: Corpus, recorder: Recorder, protocols: dict[str, list[Fold]]) -> None:
        self.corpus, self.recorder, self.protocols = corpus, recorder, protocols
        self.main = next(iter(protocols))
        self._rows: dict[tuple[str, str], list[dict[str, np.ndarray]]] = {}
        self._curves: list[pd.DataFrame] = []
        self._position = pd.Series(range(len(corpus)), corpus.ids)

    def add(
        self,
        protocol: str,
        fold: Fold,
        probabilities: dict[str, np.ndarray],
        curves: dict[str, list[dict[str, float]]] | None = None,
    ) -> None:
        """Record every model's probabilities (N_test, C) on one fold, and learning curves by model."""
        corpus, recorder = self.corpus, self.recorder
        rows = {"ids": corpus.ids[fold.test], "label": corpus.labels[fold.test], "fold": fold.name}
        rows["subject"] = corpus.subjects[fold.test] if corpus.subjects is not None else ""
        recorder.add_samples(pd.DataFrame(rows | flags(corpus, fold.train, fold.test)))
        suffix = "" if protocol == self.main else f"@{protocol}"
        for model, values in probabilities.items():
            stored = recorder.add_predictions(model + suffix, values, rows["label"], rows["ids"], fold.name)
            self._rows.setdefault((protocol, model), []).append(stored)
        for model, lines in (curves or {}).items():
            frame = pd.DataFrame(lines).assign(model=model + suffix, fold=fold.name)
            recorder.add_curves(frame)
            if protocol == self.main:
                self._curves.append(frame)

    def rows(self, model: str, protocol: str | None = None) -> dict[str, np.ndarray]:
        """Return ``probabilities``, ``labels``, ``ids`` and ``fold`` of all folds together."""
        parts = self._rows[protocol or self.main, model]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def correct(self, model: str, protocol: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return which predictions are right, bool (N,), and their subjects, else the images themselves."""
        rows, subjects = self.rows(model, protocol), self.corpus.subjects
        groups = rows["ids"] if subjects is None else subjects[self._position[rows["ids"]]]
        return rows["probabilities"].argmax(1) == rows["labels"], groups

    def accuracies(self, models: Sequence[str]) -> pd.DataFrame:
        """Return a line per model: accuracy in per cent with its 95 % interval, by protocol."""

        def shown(model: str, protocol: str) -> str:
            if (protocol, model) not in self._rows:
                return "–"
            hits, groups = self.correct(model, protocol)
            return pages.percent(hits.mean(), *metrics.interval(hits, groups))

        columns = {name: [shown(model, name) for model in models] for name in self.protocols}
        return pd.DataFrame({"model": list(models), **columns})

    def differences(self, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
        """Return, for pairs of models on the same images, the difference in points and McNemar's p."""
        rows = []
        for better, worse in pairs:
            (a, groups), (b, _) = self.correct(better), self.correct(worse)
            test = metrics.paired(a, b, groups)
            low, high = test["interval"]
            points = f"{100 * test['difference']:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"
            p = f"{test['p']:.3f}" if test["p"] >= 0.001 else "< 0.001"
            rows.append({"comparison": f"{better} minus {worse}", "points": points, "p (McNemar)": p})
        return pd.DataFrame(rows)

    def recalls(self, models: Sequence[str]) -> pd.DataFrame:
        """Return ``model, expression, recall, low, high`` (fractions) for :func:`plots.per_class_bars`."""
        rows = []
        for model in models:
            hits, groups = self.correct(model)
            labels = self.rows(model)["labels"]
            for i, expression in enumerate(self.corpus.classes):
                here = labels == i
                if here.any():
                    low, high = metrics.interval(hits[here], groups[here])
                    rows.append((model, expression, hits[here].mean(), low, high))
        return pd.DataFrame(rows, columns=["model", "expression", "recall", "low", "high"])

    def confusion(self, model: str) -> np.ndarray:
        """Return counts int64 (C, C), rows true, over the corpus's classes."""
        rows, n = self.rows(model), len(self.corpus.classes)
        return metrics.confusion(rows["labels"], rows["probabilities"][:, :n].argmax(1), n)

    def curves(self) -> pd.DataFrame:
        """Return the learning curves of the main protocol, with :func:`fer_lib.judge.headlines.levels`."""
        parts = next(rows for (protocol, _), rows in self._rows.items() if protocol == self.main)
        labels = np.concatenate([part["labels"] for part in parts])
        frame = pd.concat(self._curves, ignore_index=True)
        return headlines.levels(frame, self.recorder.run["paper"], self.recorder.run["dataset"], labels)

    def last_and_best(self) -> pd.DataFrame:
        """Return test accuracy in per cent by model, of the last epoch and of each fold's best test epoch.

        Both are means of the folds. The second selects on the test part; papers report it.
        """
        by_fold = self.curves().groupby(["model", "fold"], sort=False)["test_accuracy"].agg(["last", "max"])
        names = {"last": "last epoch", "max": "best test epoch (selects on test)"}
        return (100 * by_fold.groupby("model", sort=False).mean()).rename(columns=names).reset_index()


def feature_maps(
    corpus: Corpus, index: np.ndarray, features: dict[str, np.ndarray], recorder: Recorder, seed: int
) -> tuple[Figure, pd.DataFrame]:
    """Draw features of test images in the plane by t-SNE and, above budget smoke, UMAP; say what they hold.

    ``index`` is int64 (N,), the images' positions in the corpus; ``features`` are float (N, D) by network.
    The figure and its points are recorded. The table has each picture's trustworthiness and the accuracy of
    a vote of the five nearest neighbours in the features, without the person's own images.
    """
    labels = corpus.labels[index]
    groups = None if corpus.subjects is None else corpus.subjects[index]
    panels, rows, arrays = {}, [], {"ids": corpus.ids[index], "labels": labels}
    for name, values in features.items():
        knn = embeddings.knn_accuracy(embeddings.prepare(values), labels, groups=groups)
        for method, title in embeddings.methods(recorder.run["budget"]).items():
            drawn = embeddings.embed(values, method, seed)
            points, trust = drawn["points"], drawn["trustworthiness"]
            arrays[f"{name}_{method}"] = points
            rows.append((name, method, trust, knn))
            panels[f"{name}, {title}"] = points, trust
    figure = plots.embeddings(panels, labels, corpus.classes)
    recorder.add_figure("features", figure)
    recorder.add_embeddings(**arrays)
    columns = ["features", "method", "trustworthiness", "kNN accuracy of the features"]
    return figure, pd.DataFrame(rows, columns=columns)
