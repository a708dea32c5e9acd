"""How a network's features group the expressions, as t-SNE or UMAP pictures and in numbers.

A picture of features can show clusters that are not there, so every embedding comes with its
trustworthiness, and :func:`knn_accuracy` and :func:`silhouette` measure the features themselves.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fer_lib.errors import FerError, one_of

METHODS = {"tsne": "t-SNE", "umap": "UMAP"}  # and what a reader calls them
COMPONENTS = 50  # van der Maaten & Hinton (2008) reduce to 30, later practice to 50, before t-SNE
NEIGHBOURS = 5  # of trustworthiness and of knn_accuracy
SAMPLE = 3000  # trustworthiness and silhouette need all pairs: above this many samples, a fixed subset


def methods(budget: str) -> dict[str, str]:
    """Return the methods that a run draws, and what a reader calls them.

    At ``smoke`` it is t-SNE alone: UMAP takes longer to compile than such a run's networks to train.
    """
    return {"tsne": METHODS["tsne"]} if budget == "smoke" else METHODS


def prepare(features: ArrayLike, seed: int = 0) -> np.ndarray:
    """Standardise features ``(N, ...)`` and, where there are more than 50, reduce them by PCA.

    The result is float32 ``(N, min(D, 50, N))``; columns that were constant are 0. ``seed`` is that of the
    randomised PCA. Features that are not finite, or all the same, are an error.
    """
    from sklearn.decomposition import PCA

    values = _standardised(features)
    components = min(COMPONENTS, *values.shape)
    if values.shape[1] > components:
        values = PCA(components, random_state=seed).fit_transform(values)
    return values.astype(np.float32)


def _standardised(features: ArrayLike) -> np.ndarray:
    """Return features float32 (N, D) with mean 0 and deviation 1 per column."""
    from sklearn.preprocessing import StandardScaler

    values = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise FerError(f"Features must be finite; {bad.sum()} of {len(bad)} samples hold NaN or infinity.")
    values = StandardScaler().fit_transform(values).astype(np.float32)
    if not values.any():
        raise FerError("The features are all the same for every sample: the network has collapsed.")
    return values


def embed(features: ArrayLike, method: str = "tsne", seed: int = 0) -> dict[str, Any]:
    """Embed features in the plane, with the trustworthiness of the picture.

    Features ``(N, ...)`` of 6 samples or more are reduced by :func:`prepare`; both methods (``"tsne"``,
    ``"umap"``) start from the first principal components. t-SNE's perplexity is 30 and UMAP's neighbourhood
    15, less where the samples are few. The result holds ``points`` float32 ``(N, 2)`` and their
    :func:`trustworthiness`.
    """
    one_of(method, METHODS, "embedding method")
    values = prepare(features, seed)
    if len(values) < 6:
        raise FerError(f"An embedding needs at least 6 samples; got {len(values)}. Use a larger subset.")
    values = np.pad(values, ((0, 0), (0, max(0, 2 - values.shape[1]))))  # the start needs two columns
    if method == "tsne":
        from sklearn.manifold import TSNE

        # It must stay below a third of the samples to mean anything.
        perplexity = min(30.0, (len(values) - 1) / 3)
        drawer = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    else:  # on one thread, as a seeded layout requires
        neighbours = min(15, len(values) - 1)
        drawer = _umap_class()(n_neighbors=neighbours, init="pca", random_state=seed, n_jobs=1)
    points = np.ascontiguousarray(drawer.fit_transform(values), dtype=np.float32)
    return {"points": points, "trustworthiness": trustworthiness(features, points, seed)}


def _umap_class() -> type:
    """Import UMAP without what it announces on import, which would stand in a notebook's output."""
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        # Its neural variant, not used here, lacks TensorFlow.
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        # In a notebook without ipywidgets its progress bar, not shown here, would be plain text.
        warnings.filterwarnings("ignore", message="IProgress not found", category=TqdmWarning)
        from umap import UMAP
    return UMAP


def trustworthiness(features: ArrayLike, points: ArrayLike, seed: int = 0) -> float:
    """Return how far neighbours in the picture are neighbours in the standardised features.

    1 means that every point's 5 nearest neighbours in the picture are among its nearest in the
    features (before PCA); about 0.5 is chance (Venna & Kaski, 2001). Above 3,000 samples, a subset of
    3,000 drawn with ``seed`` is measured.
    """
    from sklearn.manifold import trustworthiness as measure

    values, points = _standardised(features), np.asarray(points)
    keep = _subset(len(values), seed)
    neighbours = min(NEIGHBOURS, (len(keep) - 1) // 2)
    return float(measure(values[keep], points[keep], n_neighbors=neighbours))


def _subset(n: int, seed: int = 0) -> np.ndarray:
    """Return all indices, or a sorted random SAMPLE of them."""
    if n <= SAMPLE:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, SAMPLE, replace=False))


def knn_accuracy(features: ArrayLike, labels: ArrayLike, groups: ArrayLike | None = None) -> float:
    """Return the leave-one-out accuracy in [0, 1] of a vote of the 5 nearest neighbours (Euclidean).

    Features ``(N, D)`` are used as given: pass :func:`prepare`'s result for standardised ones, or the points
    of an embedding. Labels are ``(N,)`` codes; a tie goes to the class of the nearest among the tied. With
    ``groups``, ``(N,)`` subjects or groups of twins, neighbours come from other groups only, which asks
    whether features group expressions rather than people; there must be 5 of them.
    """
    from sklearn.metrics import pairwise_distances_chunked

    values, codes, k = np.asarray(features, np.float32), np.asarray(labels), NEIGHBOURS
    members = np.unique(np.arange(len(codes)) if groups is None else groups, return_inverse=True)[1]
    if k > len(values) - np.bincount(members).max():
        raise FerError(f"knn_accuracy: {k} neighbours outside each sample's own group do not exist.")

    def nearest(distances: np.ndarray, start: int) -> np.ndarray:
        rows = members[start : start + len(distances)]
        distances[rows[:, None] == members] = np.inf
        near = np.argpartition(distances, k - 1, axis=1)[:, :k]
        order = np.argsort(np.take_along_axis(distances, near, 1), axis=1, kind="stable")
        return np.take_along_axis(near, order, 1)

    chunks = pairwise_distances_chunked(values, reduce_func=nearest, working_memory=64)
    votes = codes[np.concatenate(list(chunks))]  # (N, k), nearest first
    tally = (votes[:, :, None] == votes[:, None, :]).sum(axis=1)  # how many share each neighbour's class
    chosen = votes[np.arange(len(votes)), tally.argmax(axis=1)]
    return float((chosen == codes).mean())


def silhouette(features: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean silhouette in [-1, 1]: 1 tight and separate classes, 0 overlapping ones.

    Features ``(N, D)`` are used as given, labels are ``(N,)`` codes of two classes or more; above 3,000
    samples, a fixed subset of 3,000 is measured.
    """
    from sklearn.metrics import silhouette_score

    values, codes = np.asarray(features, np.float64), np.asarray(labels)
    keep = _subset(len(values))
    if not 2 <= len(np.unique(codes[keep])) < len(keep):
        raise FerError("silhouette needs at least two classes, and more samples than classes.")
    return float(silhouette_score(values[keep], codes[keep]))
