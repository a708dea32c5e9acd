"""Grad-CAM finds a known place; embeddings are honest, deterministic and measured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib import explain
from fer_lib.errors import FerError

torch = pytest.importorskip("torch")
SIZE = 16


class Corners(torch.nn.Module):
    """Class 0 answers to bright pixels, class 1 to dark ones; a second input shifts the scores."""

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 2, 3, padding=1)
        self.active = torch.nn.ReLU(inplace=True)
        self.drop = torch.nn.Dropout(0.5)
        self.flat = torch.nn.Linear(2, 2)
        self.unused = torch.nn.Conv2d(1, 1, 1)
        kernel = torch.zeros(2, 1, 3, 3)
        kernel[0, 0, 1, 1], kernel[1, 0, 1, 1] = 1, -1
        with torch.no_grad():
            self.convolution.weight.copy_(kernel)
            self.convolution.bias.zero_()
            self.flat.weight.copy_(torch.eye(2))
            self.flat.bias.zero_()

    def forward(self, images, histogram=None):
        maps = self.drop(self.active(self.convolution(images)))  # (B, 2, H, W)
        scores = self.flat(maps.mean((2, 3)))
        return scores if histogram is None else scores + histogram


def spots():
    """Image with a bright spot top left and a dark one bottom right."""
    images = torch.zeros(2, 1, SIZE, SIZE)
    images[:, :, 2:5, 3:6] = 1
    images[:, :, 10:13, 9:12] = -1
    return images


def centre(cam):
    weights = cam / cam.sum()
    return tuple(float((axis * weights).sum()) for axis in np.indices(cam.shape))


@pytest.mark.parametrize("layer", ["convolution", "active"])
def test_grad_cam_finds_the_evidence_of_each_class(layer):
    cams = explain.grad_cam(Corners(), (spots(),), layer, targets=[0, 1])
    assert cams.shape == (2, SIZE, SIZE)
    assert cams.dtype == np.float32
    assert cams.min() == 0
    assert cams.max() == pytest.approx(1, abs=1e-5)
    assert centre(cams[0]) == pytest.approx((3, 4), abs=0.1)
    if layer == "active":  # before the ReLU the other class's evidence cancels
        assert centre(cams[1]) == pytest.approx((11, 10), abs=0.1)


def test_grad_cam_passes_further_inputs_and_explains_the_prediction():
    model = Corners()
    histogram = torch.tensor([[5.0, 0.0], [0.0, 5.0]])
    cams = explain.grad_cam(model, (spots(), histogram), model.active)
    assert centre(cams[0])[0] < SIZE / 2 < centre(cams[1])[0]


def test_grad_cam_takes_the_image_at_any_position():
    class Swapped(Corners):
        def forward(self, histogram, images):
            return super().forward(images, histogram)

    cams = explain.grad_cam(Swapped(), (torch.zeros(2, 2), spots()), "active", targets=0, index=1)
    assert centre(cams[1]) == pytest.approx((3, 4), abs=0.1)


def test_grad_cam_leaves_the_model_as_it_was():
    model = Corners().train()
    model.drop.eval()
    model.convolution.weight.requires_grad_(False)
    model.flat.bias.grad = torch.ones(2)
    images = spots()
    with torch.no_grad():
        explain.grad_cam(model, (images,), "convolution")
    assert model.training
    assert not model.drop.training
    assert not model.convolution.weight.requires_grad
    assert model.flat.weight.requires_grad
    assert model.flat.weight.grad is None
    assert model.flat.bias.grad.tolist() == [1, 1]
    assert not images.requires_grad
    assert not model.convolution._forward_hooks


@pytest.mark.parametrize(
    "change, message",
    [
        ({"layer": "convolutoin"}, "Did you mean 'convolution'"),
        ({"layer": torch.nn.Conv2d(1, 1, 1)}, "not part of"),
        ({"layer": "unused"}, "no gradient"),
        ({"layer": "flat"}, r"gives \(2, 2\)"),
        ({"inputs": spots()}, "tuple"),
        ({"inputs": (spots()[0],)}, "B, channels"),
        ({"targets": [0, 1, 0]}, "one per image"),
        ({"targets": [0.5, 1.0]}, "class code"),
    ],
)
def test_grad_cam_mistakes_are_named(change, message):
    arguments = {"inputs": (spots(),), "layer": "convolution", **change}
    with pytest.raises(FerError, match=message):
        explain.grad_cam(Corners(), **arguments)


def clusters(n=20, dimensions=60, seed=0):
    """Three far clusters on very different scales per column."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), n)
    centres = random.normal(size=(3, dimensions)) * 6
    features = centres[labels] + random.normal(size=(3 * n, dimensions))
    return features * 10.0 ** (np.arange(dimensions) % 5), labels


@pytest.mark.parametrize("method", explain.METHODS)
def test_embedding_separates_clusters_and_repeats(method):
    features, labels = clusters()
    first = explain.embed(features, method, seed=3)
    again = explain.embed(features, method, seed=3)
    assert first["points"].shape == (60, 2)
    assert first["points"].dtype == np.float32
    assert np.array_equal(first["points"], again["points"])
    assert explain.knn_accuracy(first["points"], labels) == 1
    assert explain.silhouette(first["points"], labels) > 0.5
    assert 0.6 < first["trustworthiness"] <= 1
    if method == "tsne":
        for small in (features[:6], features[::10, :1]):
            assert explain.embed(small)["points"].shape == (6, 2)


def test_trustworthiness_agrees_with_its_definition():
    random = np.random.default_rng(0)
    features, points = random.normal(size=(30, 4)), random.normal(size=(30, 2))
    scaled = (features - features.mean(0)) / features.std(0)
    n, k = len(features), 5

    def ranks(values):  # of j among the neighbours of i: 1 is nearest, i itself 0
        return ((values[:, None] - values) ** 2).sum(-1).argsort(axis=1).argsort(axis=1)

    seen = (ranks(points) >= 1) & (ranks(points) <= k)
    missed = np.maximum(ranks(scaled) - k, 0)[seen].sum()
    expected = 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * missed
    assert explain.trustworthiness(features, points) == pytest.approx(expected)
    assert explain.trustworthiness(features, scaled) == 1


def test_large_samples_are_measured_on_a_fixed_subset(monkeypatch):
    monkeypatch.setattr(explain, "SAMPLE", 40)
    features, labels = clusters()
    points = explain.prepare(features)[:, :2]
    values = [explain.trustworthiness(features, points, seed) for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
    assert explain.silhouette(points, labels, 0) == explain.silhouette(points, labels, 0)


def test_prepare_standardises_and_reduces():
    features, _ = clusters()
    features[:, 7] = 4
    full = explain.prepare(features, components=60)
    assert full.shape == (60, 60)
    assert np.allclose(full.mean(0), 0, atol=1e-5)
    assert np.allclose(np.delete(full.std(0), 7), 1, atol=1e-5)
    assert not full[:, 7].any()
    assert explain.prepare(features).shape == (60, 50)
    assert explain.prepare(features.reshape(60, 3, 4, 5)[:10]).shape == (10, 10)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.integers(1, 6), st.booleans())
def test_knn_accuracy_agrees_with_a_plain_vote(seed, k, grouped):
    random = np.random.default_rng(seed)
    features, labels = random.normal(size=(24, 3)).astype(np.float32), random.integers(0, 3, 24)
    groups = random.integers(0, 5, 24) if grouped else np.arange(24)
    right = 0
    for i in range(24):
        near = [j for j in ((features - features[i]) ** 2).sum(1).argsort() if groups[j] != groups[i]][:k]
        votes = labels[near].tolist()
        right += max(votes, key=votes.count) == labels[i]
    ours = explain.knn_accuracy(features, labels, k, groups if grouped else None)
    assert ours == pytest.approx(right / 24)


def test_groups_expose_features_that_know_people():
    people = np.repeat(np.arange(6), 4)
    labels = np.tile([0, 0, 1, 1], 6) ^ (people % 2)
    features = np.stack([people * 100 + labels, np.zeros(24)], axis=1)
    assert explain.knn_accuracy(features, labels, k=1) == 1
    assert explain.knn_accuracy(features, labels, k=1, groups=people) < 0.75


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x, y: explain.embed(x, "pca"), "Unknown embedding method"),
        (lambda x, y: explain.embed(x[:5]), "at least 6"),
        (lambda x, y: explain.embed(np.where(x == x[0, 0], np.nan, x)), "1 of 60 samples"),
        (lambda x, y: explain.embed(x * 0), "all the same"),
        (lambda x, y: explain.embed(x[:, 0]), "samples, dimensions"),
        (lambda x, y: explain.trustworthiness(x, x[:9]), "60 features but 9 points"),
        (lambda x, y: explain.knn_accuracy(x, y[:9]), "one per sample"),
        (lambda x, y: explain.knn_accuracy(x, y, groups=y[:9]), "`groups` has shape"),
        (lambda x, y: explain.knn_accuracy(x, y, k=41, groups=y), "k=41"),
        (lambda x, y: explain.silhouette(x, y * 0), "two classes"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(FerError, match=message):
        call(*clusters())
