"""What the chapters share: readings, folds, and the tables of predictions."""

import numpy as np
import pandas as pd
import pytest

from fer_lib import claims
from fer_lib.data import datasets, splits
from fer_lib.data.corpus import Corpus, audit
from fer_lib.errors import FerError
from fer_lib.evidence import runs
from fer_lib.evidence.provenance import notebook_path, parameters
from fer_lib.learn import metrics
from fer_lib.learn.recipes import Recipe
from fer_lib.show import study


@pytest.fixture(scope="module")
def corpus():
    return datasets.load("synthetic", n_subjects=6, per_expression=2)


@pytest.fixture(scope="module")
def results(corpus, tmp_path_factory):
    """A model that is right on three of four images, one that is always right, over two groupings."""
    recorder = runs.Recorder("cnn_sift", "synthetic", "smoke", 0, root=tmp_path_factory.mktemp("results"))
    protocols = {name: study.cross_validation(corpus, 2, name, 0) for name in ("random", "subject")}
    made = study.Results(corpus, recorder, protocols)
    n = len(corpus.classes)
    for name, folds in protocols.items():
        for fold in folds:
            truth = corpus.labels[fold.test]
            wrong = np.arange(len(truth)) % 4 == 0
            known = {"good": np.eye(n)[truth], "fair": np.eye(n)[np.where(wrong, (truth + 1) % n, truth)]}
            lines = [{"epoch": e + 1, "test_accuracy": a} for e, a in enumerate((0.2, 0.8, 0.75))]
            made.add(name, fold, known, {"fair": lines})
    return made


def test_readings_name_what_departs_from_ours():
    values = parameters(notebook_path("cnn_sift"))
    assert study.readings("cnn_sift", values) == (values, [])
    chosen, changes = study.readings("cnn_sift", values | {"lr": 0.1, "other": 1})
    assert chosen == values | {"lr": 0.1}
    assert changes == ["lr = 0.1"]


@pytest.mark.parametrize("paper", claims.PAPERS)
def test_tables_of_what_a_paper_says_cover_it(paper):
    knobs = claims.ambiguities(paper)["knob"]
    assert len(study.register(paper, dict.fromkeys(knobs, 1))) == len(knobs)
    assert len(study.doubts(paper)) <= len(claims.load(paper).inconsistencies)
    assert study.ledger(paper)["model"].is_unique


def test_settings_name_their_source():
    table = study.settings(Recipe(3, sources={"epochs": "Sect. 4"})).set_index("setting")
    assert table.loc["epochs", "where the paper sets it"] == "Sect. 4"
    assert table.loc["lr", "where the paper sets it"] == "not stated"
    assert table.loc["augmentation", "value"] == "none"


def test_limited_keeps_the_split_and_its_proportions(corpus):
    split = np.where(np.arange(len(corpus)) % 2 == 0, "train", "private_test")
    parted = Corpus(corpus.images, corpus.labels, corpus.classes, corpus.card, corpus.ids, split=split)
    made = study.limited(parted, 24, 0)
    assert pd.Series(made.split).value_counts().to_dict() == {"train": 24, "private_test": 6}
    made = study.limited(parted, 24, 0, whole=("private_test",))
    tested = corpus.ids[split == "private_test"]
    assert (np.sort(made.ids[made.split == "private_test"]) == np.sort(tested)).all()
    assert (made.split == "train").sum() == 24
    made = study.limited(parted, 24, 0, others={"private_test": 12})
    assert pd.Series(made.split).value_counts().to_dict() == {"train": 24, "private_test": 12}


@pytest.mark.parametrize("grouping", study.GROUPINGS)
def test_cross_validation_repeats_with_other_folds(corpus, grouping):
    folds = study.cross_validation(corpus, 3, grouping, 0, repeats=2)
    assert len({fold.name for fold in folds}) == 6
    assert [len(np.unique(np.concatenate([f.test for f in part]))) for part in (folds[:3], folds[3:])] == [
        len(corpus)
    ] * 2
    assert not np.array_equal(folds[0].test, folds[3].test)
    kept = study.cross_validation(corpus, 3, grouping, 0, repeats=2, keep=1)
    assert [fold.name for fold in kept] == [folds[0].name, folds[3].name]
    shared = [set(corpus.subjects[f.train]) & set(corpus.subjects[f.test]) for f in folds]
    assert any(shared) == (grouping == "random")


def test_an_unknown_grouping_is_refused(corpus):
    with pytest.raises(FerError, match="grouping"):
        study.cross_validation(corpus, 3, "people", 0)


@pytest.mark.parametrize("grouping", study.GROUPINGS)
def test_validation_comes_from_the_training_side(corpus, grouping):
    (fold, *_) = study.cross_validation(corpus, 3, grouping, 0)
    made = study.with_validation(corpus, fold, grouping, 0)
    assert len(made.validation)
    assert sorted([*made.train, *made.validation]) == fold.train.tolist()
    assert np.array_equal(made.test, fold.test)
    if grouping == "subject":
        assert not set(corpus.subjects[made.train]) & set(corpus.subjects[made.validation])


def test_a_protocol_called_subject_must_keep_its_word(corpus):
    with pytest.raises(FerError):
        study.certify(corpus, {"subject": splits.kfold(corpus, 3)})
    made, table = study.certify(corpus, {"random": splits.kfold(corpus, 3)})
    assert set(table.columns) == {"certificate", "random"}
    shown = table.set_index("certificate")["random"]
    assert shown["folds"] == 3
    assert shown["people on both sides, summed over folds"] == made["random"]["subjects_shared"] > 0
    assert made["random"]["n_folds"] == 3


def test_an_audit_is_told_in_words_split_by_split(corpus):
    facts = audit(corpus)
    assert study.audit_table(facts)["images"].sum() > 0
    facts |= {"black": {"total": 3, "private_test": 1}, "twins_in_training": {"private_test": 2}}
    told = study.audit_table(facts).set_index("what")["images"]
    assert told["black images"] == 3
    assert told["black images, private test"] == 1
    assert told["images with a twin in training, private test"] == 2


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
def test_feature_maps_are_drawn_and_recorded(corpus, tmp_path, budget, methods):
    recorder = runs.Recorder("cnn_sift", "synthetic", budget, 1, root=tmp_path)
    index = np.arange(0, len(corpus), 3)
    features = {"C2": np.random.default_rng(0).normal(size=(len(index), 8)) + corpus.labels[index, None]}
    figures, table = study.feature_maps(corpus, index, features, recorder, 0)
    assert set(figures) == {f"{method}_C2" for method in methods}
    assert table["trustworthiness"].between(0.5, 1).all()
    recorder.add_predictions("C2", np.eye(7)[corpus.labels[:3] % 7], corpus.labels[:3] % 7, corpus.ids[:3])
    run = runs.Run(recorder.commit())
    assert {run.embeddings()[f"C2_{method}"].shape for method in methods} == {(len(index), 2)}
    assert {path.stem for path in (run.path / "figures").iterdir()} == set(figures)
