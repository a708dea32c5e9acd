"""Chapter 1 at budget smoke: what its evidence must show."""

from dataclasses import replace
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from fer_lib.data import datasets, splits
from fer_lib.evidence.provenance import notebook_path
from fer_lib.features import sift
from fer_lib.files import UnitFolder
from fer_lib.learn.recipes import Recipe
from fer_lib.learn.units import read_weights
from fer_lib.papers.cnn_sift.budgets import BUDGETS
from fer_lib.papers.cnn_sift.ensemble import Ensemble, Words, by_size
from fer_lib.papers.cnn_sift.network import CNNS, FUSED, build


def first_cells(**readings):
    """Run the notebook up to its banner with some parameters changed; return its names."""
    cells = [c.source for c in nbformat.read(notebook_path("cnn_sift"), 4).cells if c.cell_type == "code"]
    names = {}
    exec(cells[0], names)
    names |= readings
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_STAGE", "stage")  # as `fer run` has it
        exec(cells[1], names)
    return names


@pytest.mark.parametrize(
    "dataset, budget, said, unsaid",
    [
        ("ckplus", "full", ["1 of 10 repeats only"], "images"),
        (
            "fer2013",
            "full",
            ["30 epochs, not 300", "falls to 1% of itself after 60% of the epochs"],
            "images only",
        ),
        ("fer2013", "smoke", ["800 training and 200 test images only"], "folds"),
        ("fer2013", "probe", ["3,000 training and 2,200 test images only", "at most 50,000 desc"], "folds"),
        ("ckplus", "paper", [], ""),
    ],
)
def test_the_banner_says_what_the_budget_left_out(dataset, budget, said, unsaid):
    changes = "; ".join(first_cells(dataset=dataset, budget=budget)["chapter"].changes)
    assert all(phrase in changes for phrase in said)
    assert unsaid not in changes if unsaid else not changes


def test_a_probe_trains_the_network_that_readings_are_compared_with():
    assert first_cells(budget="probe")["NETWORKS"] == ("S2",)


def test_the_control_is_trained_at_budget_paper():
    names = first_cells(budget="paper", dataset="fer2013")
    assert set(names["AVERAGES"]["CNN-ONLY of six"]) < set(names["NETWORKS"])


def test_budget_full_keeps_every_image_and_layer_and_trains_until_it_has_learnt():
    names = first_cells(budget="full", dataset="fer2013")
    assert (names["plan"]["width"], names["plan"]["limit"], names["plan"]["folds"]) == (1, None, None)
    small = first_cells(budget="full", dataset="cmu_faces")
    assert small["epochs"] > names["epochs"]


def test_sizes_of_a_small_corpus_are_parts_of_it_and_draws_are_pooled():
    plan = BUDGETS["full"] | {"draws": 2}
    corpus = datasets.synthetic.generate(n_subjects=6, per_expression=1)
    fold = splits.kfold(corpus, 2)[0]
    drawn, kept, rng = {}, {}, np.random.default_rng(0)

    def train(small, recipe, names, score_epochs):
        drawn[small.name] = len(small.train)
        return {
            name: SimpleNamespace(test=rng.random((len(small.test), 7)), curves=[{"epoch": 1}])
            for name in names
        }

    def add_predictions(model, probabilities, labels, ids, fold):
        kept.setdefault(model, []).append(fold)
        return {"probabilities": probabilities}

    curves = []
    recorder = SimpleNamespace(add_predictions=add_predictions, add_curves=curves.append)
    ensemble = SimpleNamespace(names=CNNS + FUSED, corpus=corpus, seed=0, train=train, recorder=recorder)
    title = "CNN-SIFT minus CNN-ONLY"
    recipe = Recipe(epochs=5, batch_size=8)
    sizes, gained = by_size(ensemble, fold, recipe, plan, {"CNN-SIFT": title})
    half = len(fold.train) // 2
    assert kept[f"CNN-SIFT@n={half}"] == ["draw0", "draw1"]
    assert {(frame["model"][0], frame["fold"][0]) for frame in curves} >= {(f"C1@n={half}", "draw1")}
    assert drawn == {f"n{n}-d{draw}": n for n in (len(fold.train) // 4, half) for draw in (0, 1)}
    sizes = sizes.set_index(["n", "model"])
    assert sizes.index.is_unique
    assert sizes["steps"].between(230, 270).all()
    assert (sizes["low"] < sizes["accuracy"]).all()
    assert (sizes["accuracy"] < sizes["high"]).all()
    gain = 100 * (sizes.loc[(half, "CNN-SIFT"), "accuracy"] - sizes.loc[(half, "CNN-ONLY"), "accuracy"])
    assert gained.set_index("n").loc[half, title].startswith(f"{gain:+.1f} [")


def test_networks_may_start_from_those_trained_on_another_corpus(tmp_path):
    corpus = datasets.synthetic.generate(n_subjects=4, per_expression=1).resize(48)
    split = np.where(np.arange(len(corpus)) % 4 == 0, "private_test", "train")
    other = replace(corpus, split=split)
    store, names = UnitFolder(tmp_path), ("C1", "S1", "C1 again")
    ensemble = Ensemble(names, lambda name: build(name, 8, width=0.03), corpus, None, store, 0, "cpu")
    ensemble.pretrain(other, Recipe(epochs=1, batch_size=16, lr=1e-9))
    assert ensemble.start["C1"] == ensemble.start["C1 again"] != ensemble.start["S1"]
    fold = splits.kfold(corpus, 2)[0]
    done = ensemble.train(fold, Recipe(epochs=1, batch_size=16, lr=1e-9), ("C1",), ("C1",))["C1"]
    model, _ = ensemble.trained("C1", fold, done)
    began = read_weights(ensemble.start["C1"])["features.conv1.weight"]
    np.testing.assert_allclose(model.features.conv1.weight.detach(), began, atol=1e-6)


def test_words_are_of_a_training_part_alone():
    corpus = datasets.synthetic.generate(n_subjects=4, per_expression=1)
    descriptors = sift.sift(corpus.images, workers=1)
    words = Words(descriptors, 0, 2_000, "l2")
    train = np.arange(0, len(corpus), 2)
    vocabulary, bags = words.of(8, train)
    same = sift.Vocabulary.fit(descriptors.take(train), 8, 0, 2_000)
    np.testing.assert_array_equal(vocabulary.centres, same.centres)
    assert words.of(8, train)[1] is bags
    assert bags.shape == (len(corpus), 8)
    assert not np.array_equal(words.of(8, train + 1)[0].centres, same.centres)


@pytest.fixture(scope="module")
def smoke(smoke_of):
    return smoke_of("cnn_sift")


def test_subjects_are_kept_apart_where_the_protocol_says_so(smoke):
    certificates = smoke.info["certificates"]
    assert certificates["subject"]["subjects_shared"] == 0 < certificates["random"]["subjects_shared"]


def test_averages_are_means_of_their_members(smoke):
    rows = {name: smoke.predictions(name) for name in smoke.models()}
    every = {name: members for name, members in smoke.info["members"].items() if "@n=" not in name}
    assert set(every) == {"CNN-ONLY", "CNN-SIFT", "CNN-SIFT-AVG"}
    assert smoke.info["members"]["CNN-SIFT@n=70"] == [f"{name}@n=70" for name in every["CNN-SIFT"]]
    for average, members in every.items():
        mean = np.mean([rows[name]["probabilities"] for name in members], axis=0)
        np.testing.assert_allclose(rows[average]["probabilities"], mean, atol=2e-3)
        assert (rows[average]["ids"] == rows[members[0]]["ids"]).all()
