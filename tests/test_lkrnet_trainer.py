"""What a variant's name changes, and what a trained network is looked at with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fer_lib.data.datasets import synthetic
from fer_lib.data.splits import Fold
from fer_lib.evidence.runs import Recorder
from fer_lib.files import UnitFolder
from fer_lib.learn import side_by_side
from fer_lib.learn.training import Recipe
from fer_lib.learn.units import train_unit
from fer_lib.papers.lkrnet import key_regions, trainer

READINGS = {
    **{"mask_stage": "before_pool5", "use_batchnorm": True, "dropout": 0.2, "branch_fusion": "mean_softmax"},
    **{"normalisation": "image", "test_crop": "mirror", "triplet_mining": "semi_hard"},
}
TEST = np.arange(30, 42)


@pytest.fixture(scope="module")
def fold():
    return Fold("official", np.arange(30), TEST)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    corpus = synthetic.generate(n_subjects=6, per_expression=1, size=48)
    geometry, _ = key_regions.geometry_of(corpus)
    recipe = Recipe(1, 10, optimiser="sgd", lr=0.01, precision="fp32")
    with Recorder("lkrnet", "synthetic", "smoke", 0, root=tmp_path_factory.mktemp("results")) as recorder:
        yield trainer.Trainer(corpus, geometry, recorder, recipe, READINGS, torch.device("cpu"), width=0.03)


def masks(made, name, fold):
    geometry = key_regions.filled(made.geometry, fold.train)
    return made.feed(name, fold)(made.part(TEST, geometry), False)[1]


def test_a_variant_changes_what_its_name_says(made, fold):
    ours = masks(made, "Our method", fold)
    assert ours.shape == (12, 2, 1, 2, 2)  # the centre crop and its mirror image
    assert (masks(made, "Our method@alpha=0.4", fold) >= ours).all()
    assert (masks(made, "Our method@alpha=0.2", fold) <= ours).all()
    assert torch.equal(masks(made, "Our method@lambda=0.4", fold), ours)
    assert made.build("Our method@mask_stage=before_pool4").map_size == 5
    assert made.build("VGG19").kinds == ("global",)


@pytest.mark.parametrize("name", ["VGG19", "Our method", "Our method@mask=ones"])
def test_trained_networks_come_back_as_they_were(made, fold, name):
    outcome = made.train([name], fold, keep=True)[name]
    assert outcome.test.shape == (12, len(made.corpus.classes))
    features = made.features(name, outcome, fold, TEST)
    assert features.shape == (12, len(made.build(name).kinds), 8)
    assert np.array_equal(features, made.features(name, outcome, fold, TEST))
    maps = made.grad_cam(name, outcome, fold, TEST[3:7], stage=4)
    assert maps.shape == (4, 44, 44)
    assert maps.min() >= 0


def test_lambda_adds_to_the_loss(made, fold):
    trained = made.train([f"Our method@lambda={w}" for w in ("0", "3")], fold).values()
    losses = [outcome.curves[0]["train_loss"] for outcome in trained]
    assert losses[1] > losses[0] + 0.05  # margin 0.2 on each of two branches, unless all were apart already


def test_networks_are_trained_by_processes_of_their_own(made, fold, tmp_path, monkeypatch):
    def found(store, unit, **job):
        assert store.unit(unit) is not None  # a process has trained it
        return train_unit(store, unit, **job)

    monkeypatch.setattr(side_by_side, "train_unit", found)
    beside = replace(made, store=UnitFolder(tmp_path), workers=2)
    assert list(beside.train(["VGG19", "Our method"], fold)) == ["VGG19", "Our method"]
