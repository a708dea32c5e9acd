"""Train C2 two ways in one process: with the library, and with a loop as FER repositories write it.

Run ``python -m benchmarks.training [--images N] [--rounds R] [--data-dir D]``. FER2013 is used where it is
found, else synthetic faces. The reference decodes with PIL, transforms every image by itself in a DataLoader
and computes in float32; both augment alike and train the same network from the same initial weights. The
two alternate, so that a slow moment of the machine meets both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from fer_lib.data import datasets, splits
from fer_lib.errors import FerError
from fer_lib.features.geometry import Augmentation
from fer_lib.learn import precision, training
from fer_lib.learn.normalisation import Normalisation
from fer_lib.papers.cnn_sift import network as cnn_sift

MILD = Augmentation(rotation=10, translation=0.08, scale=0.1, mirror=0.5)


class Images(Dataset):
    """Per-sample decoding and transforms, as in public FER code."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, augmented: bool) -> None:
        self.images, self.labels = images, labels
        mild = [transforms.RandomAffine(10, (0.08, 0.08), (0.9, 1.1)), transforms.RandomHorizontalFlip()]
        self.transform = transforms.Compose([*(mild if augmented else []), transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        x = self.transform(Image.fromarray(self.images[i]))
        return (x - x.mean()) / x.std().clamp_min(1e-6), int(self.labels[i])


def loop(
    model: nn.Module,
    loader: DataLoader,
    optimiser: torch.optim.Optimizer,
    loss: Callable[[nn.Module, list[torch.Tensor]], torch.Tensor],
    epochs: int,
) -> tuple[float, float]:
    """Train as most repositories do; return seconds and the mean loss of the last epoch."""
    began = time.perf_counter()
    model.train()
    for _ in range(epochs):
        values = []
        for batch in loader:
            optimiser.zero_grad()
            value = loss(model, batch)
            value.backward()
            optimiser.step()
            values.append(value.item())
    return time.perf_counter() - began, float(np.mean(values))


def reference(model: nn.Module, data: Images, epochs: int, workers: int, device: torch.device) -> float:
    """Train C2 so; return seconds."""
    model.to(device)
    loader = DataLoader(data, 128, shuffle=True, num_workers=workers, pin_memory=device.type == "cuda")
    entropy = nn.CrossEntropyLoss()

    def loss(model: nn.Module, batch: list[torch.Tensor]) -> torch.Tensor:
        x, y = batch
        return entropy(model(x.to(device)), y.to(device))

    return loop(model, loader, torch.optim.Adam(model.parameters(), lr=1e-3), loss, epochs)[0]


def ours(model: nn.Module, part: training.Part, epochs: int, augmented: bool) -> float:
    """Train with the library; return seconds."""
    recipe = training.Recipe(epochs, augmentation=MILD if augmented else None)
    if part.images.device.type == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    training.fit(model, part, recipe)
    return time.perf_counter() - began


def rounds(args: argparse.Namespace) -> Iterator[dict[str, float]]:
    """Yield images per second and test accuracy of both loops, round by round."""
    device = training.choose_device(args.device)
    corpus, train, test, _ = load(args)
    part = training.Part.of(corpus.images[train], corpus.labels[train], device=device)
    held = training.Part.of(corpus.images[test], corpus.labels[test], device=device)
    data = Images(corpus.images[train], corpus.labels[train], args.augment)
    for round_ in range(args.rounds):
        row: dict[str, float] = {}
        torch.manual_seed(round_)
        start = cnn_sift.build("C2", len(corpus.classes)).state_dict()
        for name in ("ours", "reference") if round_ % 2 else ("reference", "ours"):
            model = cnn_sift.build("C2", len(corpus.classes))
            model.load_state_dict(start)
            if name == "reference":
                seconds = reference(plain(model), data, args.epochs, args.workers, device)
            else:
                seconds = ours(model, part, args.epochs, args.augment)
            row[name] = len(train) * args.epochs / seconds
            scores = training.predict(model, held, Normalisation())
            row[f"{name}_accuracy"] = float((scores.argmax(1) == corpus.labels[test]).mean())
        yield row


def plain(model: cnn_sift.CNN) -> nn.Module:
    """Return ``model`` as one would write it down: torch's own dropout, activation before the pool."""
    layers = [nn.Dropout(m.p) if type(m).__name__ == "Dropout" else m for m in model.features]
    for i, (a, b) in enumerate(pairwise(list(layers))):
        if isinstance(a, nn.MaxPool2d):
            layers[i : i + 2] = [b, a]
    model.features = nn.Sequential(*layers)
    model.dense[2] = nn.Dropout(model.dense[2].p)
    return model


def load(args: argparse.Namespace) -> tuple[object, np.ndarray, np.ndarray, str]:
    """Return a corpus, training and test positions and its name."""
    try:
        corpus = datasets.load("fer2013", args.data_dir)
        fold = splits.official(corpus)[0]
    except FerError as absent:
        print(f"Synthetic faces are used: {absent}")
        corpus = datasets.load("synthetic")
        fold = splits.kfold(corpus, 5)[0]
    n = min(args.images, len(fold.train))
    return corpus, splits.subset(corpus, fold.train, n), fold.test, corpus.card.name


def arguments(description: str) -> argparse.ArgumentParser:
    """Return the options that benchmarks of training have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--images", type=int, default=4096, help="training images (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="how often both are run (default 3)")
    parser.add_argument(
        "--workers", type=int, default=min(4, os.cpu_count() or 1), help="of the reference's DataLoader"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--data-dir")
    return parser


def show(rows: Iterable[dict[str, float]], args: argparse.Namespace, **facts: object) -> None:
    """Print every round as it comes, then the median of all rounds and what they were measured on."""
    seen = []
    for row in rows:
        seen.append(row)
        print(json.dumps({name: round(value, 3) for name, value in row.items()}), flush=True)
    middle = {name: float(np.median([row[name] for row in seen])) for name in seen[0]}
    device = training.choose_device(args.device)
    facts |= {
        "images": args.images,
        "threads": torch.get_num_threads(),
        "has_bf16_units": precision.has_bf16_units(device),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
        "ratio": middle["ours"] / middle["reference"],
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps({**middle, **facts}, indent=1))


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument(
        "--augment", action="store_true", help="mild rotation, shift, scale and mirroring in both"
    )
    args = parser.parse_args()
    show(rounds(args), args)


if __name__ == "__main__":
    main()
