"""The tables and pictures of what a run predicted."""

import numpy as np
import pytest

from fer_lib.data import datasets, protocols
from fer_lib.evidence import runs
from fer_lib.learn import embeddings, metrics
from fer_lib.show.results import Results, feature_maps


@pytest.fixture(scope="module")
def corpus():
    return datasets.load("synthetic", n_subjects=6, per_expression=2)


@pytest.fixture(scope="module")
def results(corpus, tmp_path_factory):
    """A model that is right on three of four images, one that is always right, over two groupings."""
    recorder = runs.Recorder("cnn_sift", "synthetic", "smoke", 0, root=tmp_path_factory.mktemp("results"))
    folds_of = {name: protocols.cross_validation(corpus, 2, name, 0) for name in ("random", "subject")}
    made = Results(corpus, recorder, folds_of)
    n = len(corpus.classes)
    for name, folds in folds_of.items():
        for fold in folds:
            truth = corpus.labels[fold.test]
            wrong = np.arange(len(truth)) % 4 == 0
            known = {"good": np.eye(n)[truth], "fair": np.eye(n)[np.where(wrong, (truth + 1) % n, truth)]}
            lines = [{"epoch": e + 1, "test_accuracy": a} for e, a in enumerate((0.2, 0.8, 0.75))]
            made.add(name, fold, known, {"fair": lines})
    return made


def test_accuracies_are_those_of_the_rows(results, corpus):
    hits, groups = results.correct("fair")
    assert hits.mean() == pytest.approx(0.75, abs=0.02)
    assert set(groups) == set(corpus.subjects)
    table = results.accuracies(["good", "fair", "absent"]).set_index("model")
    assert table.loc["good", "random"] == "100.0 [100.0, 100.0]"
    assert table.loc["fair", "subject"].startswith(
        f"{100 * results.correct('fair', 'subject')[0].mean():.1f} ["
    )
    assert table.loc["absent", "random"] == "–"


def test_differences_are_paired(results, corpus):
    (row,) = results.differences([("good", "fair")]).to_dict("records")
    wrong = 1 - results.correct("fair")[0].mean()
    assert row["points"].startswith(f"{100 * wrong:+.2f} [")
    assert row["p (McNemar)"] == f"{2 * 0.5 ** len(set(corpus.subjects)):.3f}"  # everybody's sign is the same


def test_recalls_and_confusion_agree(results, corpus):
    matrix = results.confusion("fair")
    assert matrix.sum() == len(corpus)
    recalls = results.recalls(["fair"])
    np.testing.assert_allclose(recalls["recall"], np.diag(matrix) / matrix.sum(1))
    assert (recalls["low"] <= recalls["recall"]).all()
    assert metrics.accuracy(
        results.rows("fair")["labels"], results.rows("fair")["probabilities"].argmax(1)
    ) == np.trace(matrix) / len(corpus)


def test_the_best_test_epoch_is_named_as_such(results):
    (row,) = results.last_and_best().to_dict("records")
    assert row == {"model": "fair", "last epoch": 75.0, "best test epoch (selects on test)": 80.0}


def test_evidence_holds_every_protocol(results):
    run = runs.Run(results.recorder.commit())
    assert run.models() == ["fair", "fair@subject", "good", "good@subject"]
    assert len(run.samples()) == 2 * len(results.corpus)
    assert set(run.curves()["model"]) == {"fair", "fair@subject"}


@pytest.mark.parametrize(("budget", "methods"), [("smoke", {"tsne"}), ("short", {"tsne", "umap"})])
def test_feature_maps_are_drawn_and_recorded(corpus, tmp_path, monkeypatch, budget, methods):
    def embed(values, method, seed):  # test_embeddings runs the methods themselves
        return {"points": values[:, :2], "trustworthiness": 0.9}

    monkeypatch.setattr(embeddings, "embed", embed)
    recorder = runs.Recorder("cnn_sift", "synthetic", budget, 1, root=tmp_path)
    index = np.arange(0, len(corpus), 3)
    features = {"C2": np.random.default_rng(0).normal(size=(len(index), 8)) + corpus.labels[index, None]}
    figure, table = feature_maps(corpus, index, features, recorder, 0)
    assert len(figure.axes) == len(methods)
    assert set(table["method"]) == methods
    assert table["kNN accuracy of the features"].between(0, 1).all()
    recorder.add_predictions("C2", np.eye(7)[corpus.labels[:3] % 7], corpus.labels[:3] % 7, corpus.ids[:3])
    run = runs.Run(recorder.commit())
    assert {run.embeddings()[f"C2_{method}"].shape for method in methods} == {(len(index), 2)}
    assert [path.stem for path in (run.path / "figures").iterdir()] == ["features"]
