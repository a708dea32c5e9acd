"""What the chapters have in common: their readings, their folds, and the tables of what was predicted.

A notebook builds networks and trains them; from the predictions on, every chapter asks the same questions
of the same rows, and asks them here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fer_lib import claims
from fer_lib.data import splits
from fer_lib.data.corpus import Corpus, flags
from fer_lib.data.splits import GROUPINGS, Fold, cross_validation  # noqa: F401 (chapters call them here)
from fer_lib.evidence.preflight import resolve
from fer_lib.evidence.provenance import RUN_PARAMETERS, defaults
from fer_lib.evidence.runs import PROBE, Recorder, Run
from fer_lib.judge import report
from fer_lib.learn import embeddings, metrics
from fer_lib.learn.recipes import Recipe
from fer_lib.show import pages, plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIX = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
CERTIFIED = {
    "n_folds": "folds",
    "tested": "images tested",
    "every_sample_tested_once": "every image tested, and once",
    "subjects_shared": "people on both sides, summed over folds",
    "sequences_shared": "sequences on both sides, summed over folds",
    "twins_crossing": "tested images with an identical twin in training",
    "index_sha256": "hash of who is where (its beginning)",
}
AUDITED = {
    "images": "images",
    "distinct": "different images",
    "redundant": "copies of another image",
    "groups": "groups of identical images",
    "conflicting_groups": "such groups under several labels",
    "cross_split_groups": "such groups in several official splits",
    "black": "black images",
    "twins_in_training": "images with a twin in training",
    "twins_with_other_label": "images whose twin in training has another label",
}
"""What a reader calls the lines of ``certify`` and ``audit``."""


# --- what the paper says and leaves open ------------------------------------------------------------------


def readings(paper: str, namespace: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Check this run's parameters; return them and, for each that departs from our reading, a phrase.

    Parameters
    ----------
    namespace : dict
        The notebook's ``globals()``; see :func:`fer_lib.evidence.preflight.resolve`.
    """
    chosen, ours = resolve(paper, namespace), defaults(paper)
    changed = (name for name in ours if name not in RUN_PARAMETERS and chosen[name] != ours[name])
    return chosen, [f"{name} = {chosen[name]!r}" for name in changed]


def ledger(paper: str) -> pd.DataFrame:
    """Return the accuracies that a paper's tables print of its own models, one column per dataset."""
    frame = claims.frame(paper).query("ours and metric == 'accuracy' and table.str.startswith('Table')")
    frame = frame[frame["expression"].isna() & frame["train_dataset"].isna() & frame["fold"].isna()]
    wide = frame.pivot_table(index="model", columns="dataset", values="value", sort=False)
    return wide.rename_axis(columns=None).reset_index()


def register(paper: str, chosen: dict[str, Any]) -> pd.DataFrame:
    """Return a paper's open readings, ours, the parameter and its value in this run."""
    frame = claims.ambiguities(paper)
    frame = frame.assign(value=[repr(chosen[name]) for name in frame["knob"]])
    names = {"problem": "what is open", "recommended": "our reading", "knob": "parameter"}
    return frame[[*names, "value"]].rename(columns=names | {"value": "in this run"})


def doubts(paper: str) -> pd.DataFrame:
    """Return what does not add up in a paper and matters for its figures: what, where, evidence."""
    frame = pd.DataFrame(claims.load(paper).inconsistencies)
    return frame[frame["severity"].isin(("high", "medium"))][["what", "where", "evidence"]]


def settings(recipe: Recipe) -> pd.DataFrame:
    """Return a recipe line by line, each with the place where the paper sets it (a budget may change it)."""
    facts = recipe.describe()
    sources = facts.pop("sources")
    place = "where the paper sets it"
    rows = [
        {"setting": n, "value": "none" if v is None else str(v), place: sources.get(n, "not stated")}
        for n, v in facts.items()
    ]
    return pd.DataFrame(rows)


# --- who trains and who is tested -------------------------------------------------------------------------


def limited(
    corpus: Corpus, n: int, seed: int, whole: Sequence[str] = (), others: dict[str, int] | None = None
) -> Corpus:
    """Return n stratified training images of a corpus with an official split, and fewer of other parts.

    Those are n / 4 images, or as many as ``others`` says of a part; the parts named in ``whole`` stay as they
    are.
    """
    counts = {"train": n} | (others or {})
    parts = []
    for name in pd.unique(corpus.split):
        part = np.flatnonzero(corpus.split == name)
        size = counts.get(name, n // 4)
        parts.append(part if name in whole else splits.subset(corpus, part, size, seed))
    return corpus.select(np.sort(np.concatenate(parts)))


def audit_table(facts: dict[str, Any]) -> pd.DataFrame:
    """Return what :func:`fer_lib.data.corpus.audit` counted, ``what`` and ``images``, split by split."""
    rows = []
    for name, value in facts.items():
        for part, n in (value if isinstance(value, dict) else {"total": value}).items():
            of = "" if part == "total" else f", {part.replace('_', ' ')}"
            rows.append({"what": AUDITED[name] + of, "images": n})
    return pd.DataFrame(rows)


def with_validation(corpus: Corpus, fold: Fold, grouping: str, seed: int, part: float = 0.1) -> Fold:
    """Set a part of a fold's training side aside, for something to be selected on."""
    train, validation = splits.hold_out(corpus, fold.train, part, seed, grouping == "subject")
    return replace(fold, train=train, validation=validation)


def certify(corpus: Corpus, protocols: dict[str, list[Fold]]) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return each protocol's certificate, and the lines of it that a reader looks for as a table.

    A protocol called ``subject`` must keep every person on one side, else it is refused.
    """
    made = {name: splits.certify(corpus, folds, name == "subject") for name, folds in protocols.items()}
    shown = pd.DataFrame({name: c | {"index_sha256": c["index_sha256"][:16]} for name, c in made.items()})
    lines = [name for name in CERTIFIED if shown.loc[name].notna().any()]  # not every corpus has sequences
    return made, shown.loc[lines].rename(CERTIFIED).rename_axis("certificate").reset_index()


# --- what was predicted -----------------------------------------------------------------------------------


class Results:
    """The test predictions of one run, as they are stored in its evidence, and what follows from them.

    Parameters
    ----------
    corpus, recorder
        The run's corpus, and where its predictions, samples and curves are recorded.
    protocols : dict
        Name to folds; the first is the paper's, and the models of others are stored as
        ``<model>@<protocol>``.
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
        """Return which predictions are right, bool (N,), and the groups that rise and fall together.

        Groups are subjects where there are subjects, else the images themselves.
        """
        rows = self.rows(model, protocol)
        groups = rows["ids"]
        if self.corpus.subjects is not None:
            groups = self.corpus.subjects[self._position[rows["ids"]]]
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
        """Return the learning curves of the main protocol: model, fold, epoch, losses and accuracies."""
        return pd.concat(self._curves, ignore_index=True)

    def last_and_best(self) -> pd.DataFrame:
        """Return test accuracy in per cent by model, of the last epoch and of each fold's best test epoch.

        Both are means of the folds, of equal weight. The second selects on the test part; it is shown because
        papers report it.
        """
        by_fold = self.curves().groupby(["model", "fold"], sort=False)["test_accuracy"].agg(["last", "max"])
        names = {"last": "last epoch", "max": "best test epoch (selects on test)"}
        return (100 * by_fold.groupby("model", sort=False).mean()).rename(columns=names).reset_index()


def feature_maps(
    corpus: Corpus, index: np.ndarray, features: dict[str, np.ndarray], recorder: Recorder, seed: int
) -> tuple[dict[str, Figure], pd.DataFrame]:
    """Draw features of test images in the plane by t-SNE and, above budget smoke, UMAP; say what they hold.

    Parameters
    ----------
    index : int64 (N,)
        The images' positions in the corpus.
    features : dict
        Network to float (N, D).

    Returns
    -------
    figures : dict
        By file name; recorded already, as are the points.
    table : DataFrame
        Trustworthiness of each picture (1: neighbours in it are neighbours in the features), and the
        accuracy of a vote of the five nearest neighbours in the features, by expression and, where
        there are subjects, with the person's own images left out.
    """
    labels = corpus.labels[index]
    groups = None if corpus.subjects is None else corpus.subjects[index]
    figures, rows, arrays = {}, [], {"ids": corpus.ids[index], "labels": labels}
    for name, values in features.items():
        knn = embeddings.knn_accuracy(embeddings.prepare(values), labels, groups=groups)
        for method, title in embeddings.methods(recorder.run["budget"]).items():
            drawn = embeddings.embed(values, method, seed)
            points, trust = drawn["points"], drawn["trustworthiness"]
            arrays[f"{name}_{method}"] = points
            rows.append((name, method, trust, knn))
            figure = plots.embedding(points, labels, corpus.classes, f"{name}, {title}", trust)
            figures[f"{method}_{name}"] = figure
            recorder.add_figure(f"{method}_{name}", figure)
    recorder.add_embeddings(**arrays)
    columns = ["features", "method", "trustworthiness", "kNN accuracy of the features"]
    return figures, pd.DataFrame(rows, columns=columns)


def arithmetic(evidence: Run) -> pd.DataFrame:
    """Return in what precision a run's networks were trained on its machine, and why, a line per decision."""
    rows = []
    for entry in evidence.info.get("precision", []):
        networks = dict.fromkeys(unit.rpartition(" ")[0] for unit in entry["units"])  # without their folds
        rows.append({"networks": ", ".join(networks), "trained in": entry["name"], "why": entry["reason"]})
    return pd.DataFrame(rows, columns=["networks", "trained in", "why"])


def beside_claims(paper: str, evidence: Run) -> Any:
    """Return the table of a run's claims with verdicts, or the sentence that says why there is none."""
    from IPython.display import Markdown, display

    looked = arithmetic(evidence)
    if len(looked):
        display(pages.table(looked, fold="What the networks were trained in on this machine, and why"))
    if evidence.budget == PROBE:
        return Markdown("*A probe compares two readings with one another; it is not set beside any claim.*")
    frame = report.compare(paper, [evidence])
    frame = frame[frame["run"].notna()]
    if not len(frame):
        why = "this run is on synthetic data" if evidence.dataset == "synthetic" else "the paper prints none"
        return Markdown(f"*No claim is compared: {why}.*")
    figures = ["claimed", "ours", "low", "high"]
    columns = ["id", "model", "expression", *figures, "verdict", "reason"]
    return pages.table(frame[columns].dropna(axis=1, how="all"), dict.fromkeys(figures, ".2f"))
