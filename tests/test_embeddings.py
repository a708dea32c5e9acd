"""Embeddings are honest, deterministic and measured; importing what makes them says nothing."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib.errors import FerError
from fer_lib.learn import embeddings


def clusters(n=20, dimensions=60, seed=0):
    """Three far clusters on very different scales per column."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), n)
    centres = random.normal(size=(3, dimensions)) * 6
    features = centres[labels] + random.normal(size=(3 * n, dimensions))
    return features * 10.0 ** (np.arange(dimensions) % 5), labels


UMAP = """
import warnings
from tqdm import TqdmWarning
warnings.warn("Tensorflow not installed; ParametricUMAP will be unavailable", ImportWarning)
warnings.warn("IProgress not found. Please update jupyter and ipywidgets.", TqdmWarning)
class UMAP:
    pass
"""


def test_umap_is_imported_in_silence(tmp_path, monkeypatch, recwarn):
    """A stand-in says what UMAP and its tqdm say when a kernel without ipywidgets imports them."""
    (tmp_path / "umap.py").write_text(UMAP)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if f"{name}.".startswith("umap.")]:
        monkeypatch.delitem(sys.modules, name)
    assert embeddings._umap_class().__module__ == "umap"
    del sys.modules["umap"]
    assert not recwarn.list


@pytest.mark.parametrize("method", embeddings.METHODS)
def test_embedding_separates_clusters_and_repeats(method, monkeypatch):
    module = sys.modules[embeddings._umap_class().__module__]
    for name in ("fast_knn_indices", "smooth_knn_dist", "compute_membership_strengths"):
        monkeypatch.setattr(module, name, getattr(module, name).py_func)  # to compile them takes 12 s
    features, labels = clusters()
    first, again = (embeddings.embed(features, method, seed=3) for _ in range(2))
    assert first["points"].shape == (60, 2)
    assert first["points"].dtype == np.float32
    assert np.array_equal(first["points"], again["points"])
    assert embeddings.knn_accuracy(first["points"], labels) == 1
    assert embeddings.silhouette(first["points"], labels) > 0.5
    assert 0.6 < first["trustworthiness"] <= 1
    if method == "tsne":
        for small in (features[:6], features[::10, :1]):
            assert embeddings.embed(small)["points"].shape == (6, 2)


def test_trustworthiness_agrees_with_its_definition(monkeypatch):
    random = np.random.default_rng(0)
    features, points = random.normal(size=(30, 4)), random.normal(size=(30, 2))
    scaled = (features - features.mean(0)) / features.std(0)
    n, k = len(features), 5

    def ranks(values):  # of j among the neighbours of i: 1 is nearest, i itself 0
        return ((values[:, None] - values) ** 2).sum(-1).argsort(axis=1).argsort(axis=1)

    seen = (ranks(points) >= 1) & (ranks(points) <= k)
    missed = np.maximum(ranks(scaled) - k, 0)[seen].sum()
    expected = 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * missed
    assert embeddings.trustworthiness(features, points) == pytest.approx(expected)
    assert embeddings.trustworthiness(features, scaled) == 1
    monkeypatch.setattr(embeddings, "SAMPLE", 20)  # large samples are measured on a fixed subset
    values = [embeddings.trustworthiness(features, points, seed) for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


def test_prepare_standardises_and_reduces(monkeypatch):
    features, _ = clusters()
    features[:, 7] = 4
    assert embeddings.prepare(features).shape == (60, 50)
    assert embeddings.prepare(features.reshape(60, 3, 4, 5)[:10]).shape == (10, 10)
    monkeypatch.setattr(embeddings, "COMPONENTS", 60)
    full = embeddings.prepare(features)
    assert np.allclose(full.mean(0), 0, atol=1e-5)
    assert np.allclose(np.delete(full.std(0), 7), 1, atol=1e-5)
    assert not full[:, 7].any()


@settings(max_examples=25)
@given(st.integers(0, 99), st.booleans())
def test_knn_accuracy_agrees_with_a_plain_vote(seed, grouped):
    random = np.random.default_rng(seed)
    features, labels = random.normal(size=(24, 3)).astype(np.float32), random.integers(0, 3, 24)
    groups = random.integers(0, 5, 24) if grouped else np.arange(24)
    right = 0
    for i in range(24):
        near = [j for j in ((features - features[i]) ** 2).sum(1).argsort() if groups[j] != groups[i]][:5]
        votes = labels[near].tolist()
        right += max(votes, key=votes.count) == labels[i]
    ours = embeddings.knn_accuracy(features, labels, groups if grouped else None)
    assert ours == pytest.approx(right / 24)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x, y: embeddings.embed(x, "pca"), "Unknown embedding method"),
        (lambda x, y: embeddings.embed(x[:5]), "at least 6"),
        (lambda x, y: embeddings.embed(np.where(x == x[0, 0], np.nan, x)), "1 of 60 samples"),
        (lambda x, y: embeddings.embed(x * 0), "all the same"),
        (lambda x, y: embeddings.knn_accuracy(x, y, groups=y * 0), "5 neighbours outside"),
        (lambda x, y: embeddings.silhouette(x, y * 0), "two classes"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(FerError, match=message):
        call(*clusters())
