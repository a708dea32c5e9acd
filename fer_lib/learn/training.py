"""Train and predict with the whole corpus on the device, as uint8; batches are index selections.

The random state of an epoch depends on the seed and the epoch's number alone, so a run that was killed
resumes from its last checkpoint and ends with the numbers of an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fer_lib.errors import FerError, one_of
from fer_lib.files import atomic
from fer_lib.learn.layout import as_weights, channels_last, keep_freed_memory, plain
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.precision import Batch, Precision, autocast, decide
from fer_lib.learn.recipes import Augment, Loss, Recipe, cross_entropy, optimiser_of
from fer_lib.progress import Bar

SAVE_SECONDS = 60  # between checkpoints of a training run


@dataclass(frozen=True)
class Part:
    """One side of a fold, on the device.

    ``images`` are ``(N, H, W)`` uint8, ``labels`` ``(N,)`` int64; ``extra`` are further model inputs, each
    ``(N, ...)``, such as bags of SIFT words.
    """

    images: Tensor
    labels: Tensor
    extra: tuple[Tensor, ...] = ()

    @classmethod
    def of(
        cls, images: np.ndarray, labels: np.ndarray, *extra: np.ndarray, device: torch.device | str = "cpu"
    ) -> Part:
        """Build a part from numpy arrays."""
        return cls(
            torch.as_tensor(images).to(device),
            torch.as_tensor(labels).long().to(device),
            tuple(torch.as_tensor(e).float().to(device) for e in extra),
        )

    def take(self, index: Tensor) -> Part:
        """Return the samples at ``index`` (int64, on the same device)."""
        return Part(self.images[index], self.labels[index], tuple(e[index] for e in self.extra))

    def __len__(self) -> int:
        return len(self.labels)


Feed = Callable[[Part, bool], tuple[Tensor, ...]]
"""Makes a network's inputs of a batch: (batch, training) -> tensors, the first float (B, C, H, W)."""


@dataclass(frozen=True)
class ImageFeed:
    """Images normalised, and augmented while training, and the part's ``extra`` as they are."""

    normalise: Normalisation
    augmentation: Augment | None = None

    def __call__(self, batch: Part, training: bool) -> tuple[Tensor, ...]:
        """Return the network's inputs."""
        x = self.normalise(batch.images)
        if training and self.augmentation is not None:
            x, _ = self.augmentation(x)
        return (x, *batch.extra)


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called ``name``; ``auto`` takes a GPU where there is one."""
    one_of(name, ("auto", "cpu", "cuda"), "device")
    if name == "cuda" and not torch.cuda.is_available():
        raise FerError("device='cuda' was asked for, but torch finds no GPU here; use device='auto'.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def real_batch(model: nn.Module, train: Part, recipe: Recipe, feed: Feed) -> Batch:
    """Return what makes one training batch, for :func:`fer_lib.learn.precision.decide` to look at."""

    def batch() -> tuple[tuple[Tensor, ...], Tensor]:
        index = torch.randperm(len(train))[: recipe.batch_size].to(train.labels.device)
        chosen = train.take(index)
        return as_weights(model, feed(chosen, True)), chosen.labels

    return batch


def fit(
    model: nn.Module,
    train: Part,
    recipe: Recipe,
    *,
    feed: Feed | None = None,
    loss: Loss | None = None,
    validation: Part | None = None,
    test: Part | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    precision: Precision | None = None,
    label: str = "training",
) -> list[dict[str, float]]:
    """Train ``model`` in place on the device that holds ``train``.

    ``feed`` makes the model's inputs, by default of the image alone, normalised by its own mean and deviation
    and augmented as the recipe says; ``loss`` is by default the cross-entropy against the recipe's targets.
    ``validation`` and ``test`` are scored after every epoch for the learning curves; neither is selected on
    unless ``recipe.checkpoint`` says so. ``checkpoint`` is where the state is kept between epochs (at most
    once a minute); training resumes from it, and it is removed at the end. ``precision`` is what
    :func:`fer_lib.learn.precision.decide` said, which by default is asked here; ``label`` names the unit of
    work, for progress and errors.

    Returns
    -------
    list of dict
        Per epoch: ``epoch``, ``train_loss``, ``train_accuracy``, ``validation_accuracy`` and
        ``test_accuracy`` (NaN without that part), ``seconds``.

    Raises
    ------
    FerError
        When the recipe selects on a part that was not given; when a loss or gradient is not finite: the
        last checkpoint stays, and nothing later.
    """
    scored, chosen_on = {"validation": validation, "test": test}, recipe.checkpoint.removeprefix("best_")
    if chosen_on in scored and not scored[chosen_on]:
        raise FerError(f"checkpoint={recipe.checkpoint!r} needs a {chosen_on} part, and this split has none.")
    device = train.images.device
    channels_last(model, device)
    feed = feed or ImageFeed(Normalisation(), recipe.augmentation)
    loss = loss or cross_entropy(recipe.true_class_target)
    precision = precision or decide(model, real_batch(model, train, recipe, feed), loss, recipe, label)
    if precision.layout == "plain":
        plain(model)
    optimiser = optimiser_of(model, recipe)
    rows: list[dict[str, float]] = []
    best: dict[str, Tensor] | None = None
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        rows, best = state["rows"], state["best"]
    saved = time.monotonic()
    # Only deterministic kernels: same seed, same machine, same numbers; in fp32 no TF32.
    exact = {"benchmark": False, "deterministic": True, "allow_tf32": precision.name != "fp32"}
    kernels = torch.backends.cudnn.flags(enabled=True, **exact)
    with Bar(recipe.epochs * len(train), label, "img") as bar, kernels, keep_freed_memory(device):
        bar.update(len(rows) * len(train))
        for epoch in range(len(rows), recipe.epochs):
            began = time.monotonic()
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate(epoch)
            state = int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0] >> 1)
            torch.manual_seed(state)
            batches = torch.randperm(len(train)).to(device).split(recipe.batch_size)
            told = bar, f"epoch {epoch + 1}/{recipe.epochs}", f"{label!r} stopped in epoch {epoch + 1}"
            mean_loss, hits = _epoch(model, train, batches, feed, loss, optimiser, precision.name, told)
            row = {"epoch": epoch + 1, "train_loss": mean_loss, "train_accuracy": hits}
            for name, part in scored.items():
                row[f"{name}_accuracy"] = float("nan")
                if part:
                    answers = predict(model, part, feed, precision=precision.name).argmax(1)
                    row[f"{name}_accuracy"] = float((answers == part.labels.cpu().numpy()).mean())
            row["seconds"] = time.monotonic() - began
            rows.append(row)
            if chosen_on in scored:
                reached = [row[f"{chosen_on}_accuracy"] for row in rows]
                if reached[-1] >= max(reached):
                    best = {k: v.detach().clone() for k, v in model.state_dict().items()}
            if recipe.patience and _settled(rows, recipe.patience):
                break
            if checkpoint is not None and time.monotonic() - saved > SAVE_SECONDS:
                state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
                with atomic(checkpoint) as temporary:
                    torch.save(state | {"rows": rows, "best": best}, temporary)
                saved = time.monotonic()
    if best is not None:
        model.load_state_dict(best)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return rows


def _epoch(
    model: nn.Module,
    train: Part,
    batches: tuple[Tensor, ...],
    feed: Feed,
    loss: Loss,
    optimiser: torch.optim.Optimizer,
    precision: str,
    told: tuple[Bar, str, str],
) -> tuple[float, float]:
    """Take a step on every batch; return mean loss and accuracy over them, or stop at what is not finite."""
    bar, status, stopped = told
    device = train.images.device
    total, hits = torch.zeros((), device=device), torch.zeros((), device=device)
    bad = torch.full((), -1, dtype=torch.long, device=device)  # the first step that was not finite
    look_every = 1 if device.type == "cpu" else 32  # to look makes the host wait for a GPU
    model.train()
    for step, index in enumerate(batches):
        batch = train.take(index)
        inputs = as_weights(model, feed(batch, True))
        with autocast(device, precision):
            value, logits = loss(model(*inputs), batch.labels)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        size = torch.nn.utils.get_total_norm(p.grad for p in model.parameters() if p.grad is not None)
        bad = torch.where((bad < 0) & ~torch.isfinite(value.detach() + size), step, bad)
        if ((step + 1) % look_every == 0 or step + 1 == len(batches)) and int(bad) >= 0:
            # Going on would train for nothing and keep what is no network.
            raise FerError(
                f"Training of {stopped}, step {int(bad) + 1}, at a learning rate of "
                f"{optimiser.param_groups[0]['lr']:g}: {'a gradient' if value.isfinite() else 'the loss'} is "
                "not finite. Nothing of this step is kept, and finished units and the last checkpoint stay. "
                "Try a lower learning rate or precision='fp32'."
            )
        optimiser.step()
        total += value.detach() * len(batch)
        hits += (logits.argmax(1) == batch.labels).sum()
        bar.update(len(batch), status)
    return float(total) / len(train), float(hits) / len(train)


def _settled(rows: list[dict[str, float]], patience: int) -> bool:
    """Whether the training images are known and validation accuracy has not risen for ``patience`` epochs."""
    scores = [row["validation_accuracy"] for row in rows]
    known = rows[-1]["train_accuracy"] > 0.99
    return known and len(rows) > patience and max(scores[-patience:]) <= max(scores[:-patience])


@torch.inference_mode()
def predict(
    model: nn.Module,
    part: Part,
    feed: Normalisation | Feed,
    *,
    precision: str = "fp32",
    batch_size: int = 512,
    output: Callable[..., Tensor] | None = None,
) -> np.ndarray:
    """Return softmax probabilities ``(N, C)`` float32, or ``output(*inputs)`` per sample, such as features.

    ``feed`` makes the model's inputs; a :class:`Normalisation` stands for its :class:`ImageFeed`. Of a model
    that returns several tensors, the first holds the logits. ``precision`` is that of the arithmetic,
    ``"fp32"`` or what the network was trained in. What is not finite is refused.
    """
    model.eval()
    feed = ImageFeed(feed) if isinstance(feed, Normalisation) else feed
    rows = []
    device = part.images.device
    for index in torch.arange(len(part), device=device).split(batch_size):
        inputs = as_weights(model, feed(part.take(index), False))
        with autocast(device, precision):
            y = (output or model)(*inputs)
        y = (y[0] if isinstance(y, tuple) else y).float()
        rows.append((y if output else y.softmax(1)).cpu())
    found = torch.cat(rows).numpy()
    bad = ~np.isfinite(found.reshape(len(found), -1)).all(1)
    if bad.any():
        raise FerError(
            f"{type(model).__name__} returns values that are not finite for {bad.sum()} of {len(found)} "
            f"samples in {precision}: its weights or its inputs are bad. Train it again."
        )
    return found
