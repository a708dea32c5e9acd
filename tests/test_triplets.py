"""Mining against plain loops, the equations against hand-made figures, and what a batch of triplets holds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from fer_lib.errors import FerError
from fer_lib.learn import training
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.training import Part, Recipe
from fer_lib.papers.lkrnet import key_regions, triplets
from fer_lib.papers.lkrnet import network as lkrnet
from fer_lib.papers.lkrnet.triplets import CombinedLoss, TripletTraining


def batch(n=24, classes=5, seed=0):
    torch.manual_seed(seed)
    return torch.randn(n, 6), torch.randint(0, classes, (n,))


def slow(embeddings, labels, anchor, positive, strategy):
    """The negative of one anchor and, for ``hard``, its positive."""
    d = [float((embeddings[anchor] - e).square().sum()) for e in embeddings]
    same = [i for i in range(len(d)) if labels[i] == labels[anchor] and i != anchor]
    other = [i for i in range(len(d)) if labels[i] != labels[anchor]]
    if strategy == "hard":
        return max(same, key=d.__getitem__), min(other, key=d.__getitem__)
    farther = [i for i in other if d[i] > d[positive]]
    return positive, min(farther, key=d.__getitem__) if farther else max(other, key=d.__getitem__)


def test_class_distances_match_a_plain_loop():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(9, 2, 4)), rng.integers(0, 3, 9)
    found = triplets.class_distances(points, labels)
    points = points / np.linalg.norm(points, axis=2, keepdims=True)
    pairs = [(i, j) for i in range(9) for j in range(i)]
    for value, alike in zip(found, (True, False), strict=True):
        far = [((points[i] - points[j]) ** 2).sum(1) for i, j in pairs if (labels[i] == labels[j]) == alike]
        assert value == pytest.approx(np.mean(far))
    assert np.isnan(triplets.class_distances(points, np.arange(9))[0])  # no two are of one class


@pytest.mark.parametrize("strategy", ["semi_hard", "hard"])
@pytest.mark.parametrize("seed", range(5))
def test_mining_matches_a_plain_loop(strategy, seed):
    embeddings, labels = batch(seed=seed)
    found = triplets.mine(embeddings, labels, strategy)
    for anchor, positive, negative in zip(*(rows.tolist() for rows in found), strict=True):
        assert (positive, negative) == slow(embeddings, labels, anchor, positive, strategy)


def test_near_points_are_told_apart_under_autocast():
    embeddings, labels = batch()
    near = torch.nn.functional.normalize(1 + 0.01 * embeddings)
    expected = triplets.mine(near, labels, "hard")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = triplets.mine(near, labels, "hard")
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(1, 4), st.sampled_from(["semi_hard", "hard"]))
def test_mined_triplets_are_triplets(seed, n, classes, strategy):
    embeddings, labels = batch(n, classes, seed)
    a, p, q = triplets.mine(embeddings, labels, strategy)
    assert (labels[a] == labels[p]).all()
    assert (labels[a] != labels[q]).all()
    assert (a != p).all()
    several = [i for i in range(n) if (labels == labels[i]).sum() > 1 and (labels != labels[i]).any()]
    assert a.tolist() == several


def test_distances_and_the_loss_are_the_equations():
    x = torch.randn(7, 4)
    torch.testing.assert_close(
        triplets.squared_distances(x), torch.cdist(x, x).square(), atol=1e-4, rtol=1e-4
    )
    a, p, n = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert float(triplets.triplet_loss(a, p, n, 0.2)) == 0  # 1 - 4 + 0.2 < 0
    assert float(triplets.triplet_loss(a, p, n, 3.5)) == pytest.approx(0.5)
    assert float(triplets.triplet_loss(a, n, p, 0.2)) == pytest.approx(3.2)


def output(n=12, branches=2, seed=0):
    torch.manual_seed(seed)
    return torch.randn(n, 7), torch.randn(n, branches, 7), torch.randn(n, branches, 5)


def thirds(n=12):
    rows = torch.arange(n)
    return rows[: n // 3], rows[n // 3 : 2 * n // 3], rows[2 * n // 3 :]


def test_combined_loss_by_hand():
    made, labels, rows = output(), torch.arange(12) % 7, thirds()
    cross = sum(
        F.cross_entropy(made[1][part, b], labels[part]) for part in rows for b in (0, 1)
    )  # Eq. (6), with its minus sign, on both branches
    units = F.normalize(made[2], dim=2)
    apart = sum(triplets.triplet_loss(*(units[part, b] for part in rows), 0.3) for b in (0, 1))
    torch.testing.assert_close(CombinedLoss(0.4, 0.3)(made, labels, rows), (cross + 0.4 * apart) / 3)


def test_without_triplets_it_is_the_plain_cross_entropy_of_single_images():
    (scores, logits, embeddings), labels = output(branches=1), torch.arange(12) % 7
    found = CombinedLoss(0.0)((scores, logits, embeddings), labels, "semi_hard")
    torch.testing.assert_close(found, F.cross_entropy(logits[:, 0], labels))
    made = make(part(), "random", weight=0.0)
    few = triplets.numbered(made.train).take(torch.arange(5))
    assert len(made.feed(few, True)[0]) == 5


@pytest.mark.parametrize("strategy", ["semi_hard", "hard"])
def test_a_batch_without_triplets_has_only_the_cross_entropy(strategy):
    made, labels = output(4), torch.zeros(4, dtype=torch.long)
    torch.testing.assert_close(
        CombinedLoss(0.2)(made, labels, strategy), CombinedLoss(0.0)(made, labels, strategy)
    )


def part(n=40, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    labels[:classes] = range(classes)
    images = rng.integers(0, 256, (n, 48, 48), np.uint8)
    geometry = np.tile(
        np.array([[16, 18], [32, 18], [24, 26], [18, 36], [30, 36], [40, 44]], np.float32), (n, 1, 1)
    )
    return Part.of(images, labels, geometry)


def make(train, mining="random", weight=0.2):
    feed = key_regions.KeyRegionFeed(Normalisation(), key_regions.KeyRegions(), cells=2)
    return TripletTraining(triplets.numbered(train), feed, CombinedLoss(weight), mining)


def test_drawn_triplets_cover_the_whole_training_part():
    train = part()
    anchors = torch.arange(40).repeat(200)
    torch.manual_seed(0)
    positives, negatives = make(train).draw(anchors, train.labels[anchors])
    assert (train.labels[positives] == train.labels[anchors]).all()
    assert (train.labels[negatives] != train.labels[anchors]).all()
    assert (positives != anchors).all()
    for i in (0, 7):
        here = anchors == i
        alike = set(torch.nonzero(train.labels == train.labels[i]).flatten().tolist()) - {i}
        assert set(positives[here].tolist()) == alike
        assert len(set(negatives[here].tolist())) > 0.9 * int((train.labels != train.labels[i]).sum())


def test_an_image_alone_in_its_class_is_its_own_positive():
    train = part()
    train.labels[:] = 1
    train.labels[3] = 0
    positives, _ = make(train).draw(torch.tensor([3]), torch.tensor([0]))
    assert positives.tolist() == [3]


def test_a_batch_of_triplets_is_three_times_the_anchors():
    train = part()
    made = make(train)
    few = triplets.numbered(train).take(torch.arange(5))
    x, masks = made.feed(few, True)
    assert x.shape == (15, 1, 44, 44)
    assert masks.shape == (15, 1, 2, 2)
    out = output(15)
    value, scores = made.loss(out, few.labels)
    assert torch.equal(scores, out[0][:5])
    assert value > 0
    assert make(train).feed(few, False)[0].shape == (5, 1, 44, 44)
    assert make(train, "hard").feed(few, True)[0].shape == (5, 1, 44, 44)


@pytest.mark.parametrize("mining", triplets.MININGS)
def test_every_strategy_trains(mining):
    train = part(24)
    made = make(train, mining)
    torch.manual_seed(0)
    model = lkrnet.build("Our method", 4, width=0.03)
    recipe = Recipe(2, 8, optimiser="sgd", learning_rates=(0.01,), precision="fp32")
    rows = training.fit(model, triplets.numbered(train), recipe, feed=made.feed, loss=made.loss, test=train)
    assert np.isfinite([row["train_loss"] for row in rows]).all()
    assert 0 <= rows[-1]["test_accuracy"] <= 1


def test_unknown_readings_are_refused():
    with pytest.raises(FerError, match="Unknown"):
        make(part(), "easy")
