"""Triplets of anchor, positive and negative: how they are found, and LKRNet's combined loss.

Sect. 3.1 of the paper ``lkrnet``: L = L_cross + lambda L_triplet (Eq. 5), where L_cross adds the
cross-entropies of the three samples (Eqs. 6 and 7; the minus sign, missing in print, is restored) and
L_triplet asks an anchor to be nearer to its positive than to its negative by a margin (Eqs. 8 and 9). The
loss here is L / 3. That leaves the balance of the two terms as printed, and makes lambda = 0 the plain
cross-entropy of single images (Sect. 3.2), so that the same learning rates mean the same to all networks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fer_lib.errors import one_of
from fer_lib.learn.training import Feed, Part

MININGS = ("random", "semi_hard", "hard")

Triplets = tuple[Tensor, Tensor, Tensor]


def squared_distances(embeddings: Tensor) -> Tensor:
    """Return all squared Euclidean distances ``(N, N)`` of ``(N, D)``, not negative."""
    squares = embeddings.square().sum(1)
    with torch.autocast(embeddings.device.type, enabled=False):  # in bf16 near points have no distance left
        products = embeddings @ embeddings.T
    return (squares[:, None] + squares[None, :] - 2 * products).clamp_min(0)


def triplet_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Return Eq. (9) averaged over triplets, a scalar, from three embeddings ``(T, D)``."""
    near = (anchor - positive).square().sum(1)
    far = (anchor - negative).square().sum(1)
    return F.relu(near - far + margin).mean()


def class_distances(embeddings: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the mean squared distance of two samples of one class, and of two classes, over all pairs.

    Embeddings ``(N, branches, D)`` are scaled to length 1 as in :class:`CombinedLoss`, and distances averaged
    over branches. NaN where there is no pair.
    """
    points = F.normalize(torch.as_tensor(embeddings, dtype=torch.float64), dim=2)
    distance = torch.stack([squared_distances(branch) for branch in points.unbind(1)]).mean(0)
    codes = torch.as_tensor(labels)
    same = codes[:, None] == codes[None, :]
    alike = same & ~torch.eye(len(codes), dtype=torch.bool)
    return float(distance[alike].mean()), float(distance[~same].mean())


def mine(embeddings: Tensor, labels: Tensor, strategy: str) -> Triplets:
    """Choose a positive and a negative of the same batch for every sample ``(N, D)``, labelled ``(N,)``.

    ``hard``: the farthest positive and the nearest negative (Hermans et al., 2017). ``semi_hard``: a random
    positive, and of the negatives farther away than it the nearest (Schroff et al., 2015), or the farthest of
    all where none is. Returned are anchors, positives and negatives, int64 ``(T,)`` rows of the batch.
    Samples without a positive or a negative are no anchors.
    """
    distance = squared_distances(embeddings.detach())
    same = labels[:, None] == labels[None, :]
    alike = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    anchors = torch.nonzero(alike.any(1) & (~same).any(1)).squeeze(1)
    distance, alike, other = distance[anchors], alike[anchors], ~same[anchors]
    never = torch.full_like(distance, float("inf"))
    if strategy == "hard":
        positives = torch.where(alike, distance, -never).argmax(1)
        return anchors, positives, torch.where(other, distance, never).argmin(1)
    luck = torch.rand_like(distance)
    positives = torch.where(alike, luck, -never).argmax(1)
    farther = other & (distance > distance.gather(1, positives[:, None]))
    nearest = torch.where(farther, distance, never).argmin(1)
    farthest = torch.where(other, distance, -never).argmax(1)
    return anchors, positives, torch.where(farther.any(1), nearest, farthest)


@dataclass(frozen=True)
class CombinedLoss:
    """Eqs. (5) to (9), divided by three; every branch has both terms, and those of all branches are added.

    ``weight`` is lambda of Eq. (5), ``margin`` alpha of Eqs. (8) and (9), between embeddings of length 1.
    """

    weight: float = 0.2
    margin: float = 0.2

    def __call__(
        self, output: tuple[Tensor, Tensor, Tensor], labels: Tensor, triplets: Triplets | str
    ) -> Tensor:
        """Return the loss, a scalar, of scores ``(N, C)``, logits ``(N, branches, C)`` and embeddings.

        ``triplets`` are rows of the batch, or the strategy by which :func:`mine` finds them, branch by
        branch.
        """
        _, logits, embeddings = (t.float() for t in output)
        n = logits.shape[1]
        cross = n * F.cross_entropy(logits.flatten(0, 1), labels.repeat_interleave(n))
        if not self.weight:
            return cross

        def triplet(branch: Tensor) -> Tensor:
            branch = F.normalize(branch, dim=1)
            rows = mine(branch, labels, triplets) if isinstance(triplets, str) else triplets
            if not len(rows[0]):
                return branch.sum() * 0  # a batch of one class, or of none twice, asks for nothing
            return triplet_loss(*(branch[row] for row in rows), self.margin)

        return cross + self.weight / 3 * sum(triplet(branch) for branch in embeddings.unbind(1))


class TripletTraining:
    """The feed and the loss of one network's training, which must agree on the triplets.

    Each image of a batch is an anchor, and its positive and negative are found among the batch's embeddings
    (``semi_hard``, ``hard``); or they are drawn from the whole training part (``random``), so that the
    network sees three times the batch. Then the part must be :func:`numbered`. Where lambda is 0 a batch is
    single images, whatever the mining.
    """

    def __init__(self, train: Part, feed: Feed, loss: CombinedLoss, mining: str = "semi_hard") -> None:
        self.train, self.inner, self.objective = train, feed, loss
        self.mining = one_of(mining, MININGS, "triplet_mining")
        self.draws = mining == "random" and loss.weight > 0
        self.order = torch.argsort(train.labels, stable=True)
        self.counts = torch.bincount(train.labels)
        self.starts = self.counts.cumsum(0) - self.counts
        self.rank = torch.empty_like(self.order)  # of an image within its class
        self.rank[self.order] = torch.arange(len(train), device=self.order.device)
        self.rank -= self.starts[train.labels]
        self._labels = train.labels[:0]

    def feed(self, batch: Part, training: bool) -> tuple[Tensor, ...]:
        """Return the network's inputs: ``B`` samples, or anchors, positives and negatives, ``3 B``."""
        if training and self.draws:
            parts = [batch, *map(self.train.take, self.draw(batch.extra[-1].long(), batch.labels))]
            extra = tuple(torch.cat(columns) for columns in zip(*(p.extra for p in parts), strict=True))
            batch = Part(torch.cat([p.images for p in parts]), torch.cat([p.labels for p in parts]), extra)
        if training:
            self._labels = batch.labels
        return self.inner(batch, training)

    def draw(self, anchors: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return a random positive and negative for each anchor, int64 ``(B,)`` rows of the training part.

        An anchor that is alone in its class is its own positive.
        """
        count, start = self.counts[labels], self.starts[labels]
        u = torch.rand(2, len(labels), dtype=torch.float64, device=labels.device)
        step = 1 + (u[0] * (count - 1)).long()
        positives = self.order[start + (self.rank[anchors] + step) % count]
        place = (u[1] * (len(self.train) - count)).long()
        return positives, self.order[place + (place >= start) * count]  # skips the anchor's class

    def loss(self, output: tuple[Tensor, Tensor, Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of the batch that was fed last, and the scores of its ``B`` anchors."""
        n = len(labels)
        triplets: Triplets | str = self.mining
        if self.draws:
            anchors, positives, negatives = torch.arange(3 * n, device=labels.device).split(n)
            triplets = (anchors, positives, negatives)
        return self.objective(output, self._labels, triplets), output[0][:n]


def numbered(part: Part) -> Part:
    """Return the part with its images' numbers 0, 1, ... as a further ``extra``."""
    return replace(part, extra=(*part.extra, torch.arange(len(part), device=part.labels.device)))
