"""Train LKRNet two ways in one process: with the library, and with a loop as VGG19 FER repositories write it.

Run ``python -m benchmarks.lkrnet [--network "Our method"] [--width 1] [--batch 32]``. FER2013 is used where
it is found, else synthetic faces. Both train the same network from the same initial weights on batches of as
many triplets with the same loss; both crop, mirror, blot and normalise every image anew and draw the mask
that belongs to it. The reference decodes with PIL, does all that image by image in a DataLoader and computes
in float32; ours is :class:`fer_lib.papers.lkrnet.triplets.TripletTraining`. Which positives and negatives an
anchor meets differs, as both draw at random. The two alternate, so that a slow moment of the machine meets
both. All faces have one geometry: what finding landmarks costs is in ``benchmarks.faces``.

Images per second count anchors, positives and negatives. Memory is the most that each held of the device, or
of this process (with what the interpreter and the corpus take; the DataLoader's workers are not in it).
"""

from __future__ import annotations

import argparse
import contextlib
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import functional as transform

from benchmarks.training import arguments, load, loop, show
from fer_lib.learn import training
from fer_lib.learn.normalisation import Normalisation
from fer_lib.papers.lkrnet import key_regions, triplets
from fer_lib.papers.lkrnet import network as lkrnet

POINTS = np.array([[16, 18], [32, 18], [24, 27], [17, 36], [31, 36]], np.float32)  # of a face in 48x48 pixels
SIDES = np.array([36, 42], np.float32)  # of its box
CROP, ALPHA, BLOCK = 44, 0.3, 3
LAMBDA, MARGIN = 0.2, 0.2
RATE = 0.01


class Triplets(Dataset):
    """Anchor, positive and negative with their masks, decoded and transformed one by one."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, cells: int) -> None:
        self.images, self.labels, self.cells = images, labels, cells
        self.of_class = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        label = int(self.labels[i])
        other = random.choice([name for name in self.of_class if name != label])
        chosen = [i, random.choice(self.of_class[label]), random.choice(self.of_class[other])]
        images, masks = zip(*map(self.one, chosen), strict=True)
        return torch.stack(images), torch.stack(masks), torch.as_tensor(self.labels[chosen]).long()

    def one(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return one image (1, 44, 44) and its mask (1, cells, cells)."""
        image, points = Image.fromarray(self.images[i]), POINTS.copy()
        top, left, height, width = transforms.RandomCrop.get_params(image, (CROP, CROP))
        image, points = transform.crop(image, top, left, height, width), points - (left, top)
        if random.random() < 0.5:
            image, points[:, 0] = transform.hflip(image), CROP - 1 - points[:, 0]
        x = transform.to_tensor(image)
        for _ in range(random.randint(1, 3)):
            row, column = random.randint(0, CROP - BLOCK), random.randint(0, CROP - BLOCK)
            x[:, row : row + BLOCK, column : column + BLOCK] = 0
        mask = nn.functional.adaptive_avg_pool2d(torch.from_numpy(weights(points))[None], self.cells)
        return (x - x.mean()) / x.std().clamp_min(1e-6), mask


def weights(points: np.ndarray) -> np.ndarray:
    """Return the weighted mask of Eqs. (1) to (3), float32 (44, 44)."""
    mask, half = np.zeros((CROP, CROP), np.float32), ALPHA * SIDES / 2
    for point in points:
        left, top = np.maximum(np.ceil(point - half), 0).astype(int)
        right, bottom = np.floor(point + half).astype(int) + 1
        part = mask[top:bottom, left:right]
        y, x = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
        far = np.hypot(x - point[0], y - point[1]) / np.hypot(*half)
        np.maximum(part, 1 - far, out=part)
    return mask


def reference(
    model: lkrnet.LKRNet, data: Triplets, args: argparse.Namespace, lambda_: float, device: torch.device
) -> tuple[float, float]:
    """Train as most repositories do; return seconds and the mean loss."""
    model.to(device)
    loader = DataLoader(
        data, args.batch, shuffle=True, num_workers=args.workers, pin_memory=device.type == "cuda"
    )
    objective = triplets.CombinedLoss(lambda_, MARGIN)

    def loss(model: nn.Module, batch: list[torch.Tensor]) -> torch.Tensor:
        x, masks, labels = (part.to(device).flatten(0, 1) for part in batch)
        rows = torch.arange(len(labels), device=device).view(-1, 3)
        return objective(model(x, masks), labels, tuple(rows.unbind(1)))

    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4)
    return loop(model, loader, optimiser, loss, args.epochs)


def ours(
    model: lkrnet.LKRNet, part: training.Part, args: argparse.Namespace, lambda_: float
) -> tuple[float, float]:
    """Train with the library; return seconds and the mean loss."""
    feed = key_regions.KeyRegionFeed(Normalisation(), key_regions.KeyRegions(ALPHA), model.map_size)
    loss = triplets.CombinedLoss(lambda_, MARGIN)
    made = triplets.TripletTraining(triplets.numbered(part), feed, loss)
    recipe = training.Recipe(
        args.epochs, args.batch, lr=RATE, optimiser="sgd", momentum=0.9, weight_decay=5e-4
    )
    began = time.perf_counter()
    rows = training.fit(model, made.train, recipe, feed=made.feed, loss=made.loss)
    if part.images.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began, rows[-1]["train_loss"]


def rounds(args: argparse.Namespace) -> Iterator[dict[str, float]]:
    """Yield images per second, mean loss and memory of both loops, round by round."""
    device = training.choose_device(args.device)
    corpus, train, _, _ = load(args)
    corpus = corpus.resize(48)
    images, labels = corpus.images[train], corpus.labels[train]
    geometry = np.broadcast_to(np.concatenate([POINTS, SIDES[None]]), (len(train), 6, 2))
    part = training.Part.of(images, labels, geometry.copy(), device=device)
    lambda_ = LAMBDA if args.network in lkrnet.WITH_TRIPLETS else 0.0
    for round_ in range(args.rounds):
        row: dict[str, float] = {}
        torch.manual_seed(round_)
        start = lkrnet.build(args.network, len(corpus.classes), width=args.width).state_dict()
        for name in ("ours", "reference") if round_ % 2 else ("reference", "ours"):
            model = lkrnet.build(args.network, len(corpus.classes), width=args.width)
            model.load_state_dict(start)
            most = memory(device)
            if name == "ours":
                seconds, loss = ours(model, part, args, lambda_)
            else:
                data = Triplets(images, labels, model.map_size)
                seconds, loss = reference(plain(model), data, args, lambda_, device)
            row[name] = 3 * len(train) * args.epochs / seconds
            row |= {f"{name}_loss": loss, f"{name}_memory_mib": most()}
        yield row


def plain(model: lkrnet.LKRNet) -> lkrnet.LKRNet:
    """Return ``model`` as one would write it down, with torch's own dropout."""
    for branch in model.branches:
        branch.classify.dropout = nn.Dropout(branch.classify.dropout.p)
    return model


def memory(device: torch.device) -> Callable[[], float]:
    """Return what will say how much memory was held at most from now on, in MiB."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return lambda: torch.cuda.max_memory_allocated() / 2**20
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the highest value so far
    return resident


def resident() -> float:
    """Return the most memory of this process in MiB, by Linux's count; NaN elsewhere."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return float("nan")


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.set_defaults(images=256)
    parser.add_argument("--network", choices=lkrnet.NETWORKS, default="Our method")
    parser.add_argument("--width", type=float, default=1.0, help="of the network's layers; 1 is the paper's")
    parser.add_argument("--batch", type=int, default=32, help="triplets of a batch (default 32)")
    args = parser.parse_args()
    show(rounds(args), args, network=args.network, width=args.width, triplets_per_batch=args.batch)


if __name__ == "__main__":
    main()
