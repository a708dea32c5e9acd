"""Train the 3D-CNN two ways in one process: with the library, and with a loop as repositories write it.

Run ``python -m benchmarks.clips [--size 112] [--width 1] [--sequences 327] [--epochs 1] [--rounds R]``, on a
GPU where there is one. The reference keeps float32 clips of three channels on the host, rotates every clip by
itself in a DataLoader and computes in float32, contiguous. Ours keeps uint8 on the device, augments there and
computes in bf16, channels last, where the device does so natively. Both train c1 from equal initial weights
on the same copies. On a GPU the peak memory of ours is given; everywhere, how long one full
leave-one-subject-out of paper ``cnn3d`` (327 sequences, 118 subjects, 16 epochs) takes at the rate measured.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional as transform

from fer_lib.learn import precision, training
from fer_lib.learn.training import Part
from fer_lib.papers.cnn3d import clips
from fer_lib.papers.cnn3d import network as cnn3d
from fer_lib.papers.cnn3d.readings import PAPER, Readings

CKPLUS = {
    "anger": 45,
    "contempt": 18,
    "disgust": 59,
    "fear": 25,
    "happiness": 69,
    "sadness": 28,
    "surprise": 83,
}
SUBJECTS, EPOCHS = 118, 16


class Clips(Dataset):
    """Per-sample transforms on float32 clips, as in public code."""

    def __init__(self, frames: torch.Tensor, part: Part) -> None:
        self.frames, self.part = frames.float()[:, None].expand(-1, 3, -1, -1, -1), part

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        clip = self.frames[self.part.images[i]]
        flip, angle, factor = self.part.extra[0][i].tolist()
        if flip:
            clip = clip.flip(-1)
        if angle:
            clip = transform.rotate(clip.flatten(0, 1), -angle, transform.InterpolationMode.BILINEAR)
            clip = clip.unflatten(0, (3, -1))
        if factor != 1:
            clip = (127 + factor * (clip - 127)).round().clamp(0, 255)
        return clip / 255, self.part.labels[i]


def reference(model: nn.Module, data: Clips, epochs: int, device: torch.device, workers: int) -> float:
    """Train as most repositories do; return seconds."""
    model.to(device)
    loader = DataLoader(data, 30, shuffle=True, num_workers=workers, pin_memory=device.type == "cuda")
    optimiser, loss = torch.optim.Adam(model.parameters(), lr=1e-4), nn.CrossEntropyLoss()
    model.train()
    began = time.perf_counter()
    for _ in range(epochs):
        for x, y in loader:
            optimiser.zero_grad()
            value = loss(model(x.to(device)), y.to(device))
            value.backward()
            optimiser.step()
            value.item()
    return time.perf_counter() - began


def ours(model: nn.Module, frames: torch.Tensor, part: Part, epochs: int) -> float:
    """Train with the library; return seconds."""
    if frames.is_cuda:
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    recipe = Readings().recipe(cnn3d.C1, PAPER | {"epochs": epochs})
    training.fit(model, part, recipe, feed=clips.ClipFeed(frames))
    if frames.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=112, help="height and width of frames in pixels")
    parser.add_argument("--width", type=float, default=1.0, help="of the network's layers, 1 is the paper's")
    parser.add_argument("--sequences", type=int, default=sum(CKPLUS.values()))
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2, help="the first warms up")
    args = parser.parse_args()
    device = training.choose_device()
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(CKPLUS)), list(CKPLUS.values()))
    labels = labels[np.sort(rng.permutation(len(labels))[: args.sequences])]
    frames = torch.as_tensor(rng.integers(0, 256, (len(labels), 10, args.size, args.size), np.uint8))
    counts = np.array([clips.CKPLUS_COPIES[name] for name in CKPLUS])
    host = clips.training_part(labels, np.arange(len(labels)), counts)
    part = Part(host.images.to(device), host.labels.to(device), (host.extra[0].to(device),))
    workers = min(8, os.cpu_count() or 1)

    def network() -> nn.Module:
        torch.manual_seed(0)
        return cnn3d.c1(size=args.size, width=args.width)

    rates = {"reference": [], "ours": []}
    trained = args.epochs * len(part)
    for _ in range(args.rounds):
        rates["reference"].append(
            trained / reference(network(), Clips(frames, host), args.epochs, device, workers)
        )
        rates["ours"].append(trained / ours(network(), frames.to(device), part, args.epochs))
    best = {name: max(values) for name, values in rates.items()}
    with torch.device("meta"):
        model = cnn3d.c1(size=args.size, width=args.width)
    per_clip = cnn3d.operations(model, (10, args.size, args.size))
    whole = EPOCHS * (SUBJECTS - 1) * copies_of_all()  # every fold lacks one subject
    report = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "bf16": precision.has_bf16_units(device),
        "clips": len(part),
        "clips_per_second": {name: round(value, 1) for name, value in best.items()},
        "faster": round(best["ours"] / best["reference"], 2),
        "tflop_per_second": round(best["ours"] * per_clip / 1e12, 2),
        "leave_one_subject_out": {
            "clips_trained": whole,
            "minutes_at_this_rate": round(whole / best["ours"] / 60, 1),
            "clips_per_second_for_an_hour": math.ceil(whole / 3600),
        },
    }
    if device.type == "cuda":
        report["peak_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    print(json.dumps(report, indent=1))


def copies_of_all() -> int:
    """Return the training clips that CK+ makes, originals included."""
    table = clips.CKPLUS_COPIES
    return sum(n * (1 + sum(table[name])) for name, n in CKPLUS.items())


if __name__ == "__main__":
    main()
