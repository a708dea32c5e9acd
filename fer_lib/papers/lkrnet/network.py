"""LKRNet: VGG19 on 44x44 faces, with a second branch that sees the surroundings of five landmarks only.

Sect. 3.2 (Fig. 3) of the paper ``lkrnet`` describes the modified VGG19, Sect. 3.1 (Eq. 4) the two branches:
one classifies the feature maps p, the other p times a mask of the key regions, through classifiers of the
same structure that share no weights. The keyword arguments are the paper's open readings; their defaults are
the recommended ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_lib.errors import one_of
from fer_lib.learn.layers import Dropout
from fer_lib.learn.recipes import one_cycle

STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # filters and convolutions; a max pool after each
HEAD = (4096, 256)  # dense layers before the softmax's, in VGG19 too (Sect. 3.2)
SIZE = 44  # of the image crop, in pixels (Sect. 4.2)

# Where the mask meets the feature maps: the stage after which they are taken, whether its pool has run, and
# what each branch still does by itself (stages and pools).
TAPS = {
    "before_pool5": (5, False, ("pool5",)),
    "after_pool5": (5, True, ()),
    "before_pool4": (4, False, ("pool4", "stage5", "pool5")),
    "no_pool5": (5, False, ()),
}
FUSIONS = ("mean_softmax", "sum_logits", "global")
BRANCHES = {
    "VGG19": ("global",),
    "Baseline 1": ("global", "local"),
    "Baseline 2": ("global",),
    "Our method": ("global", "local"),
}
"""Classifiers of each network: of the feature maps as they are, or of the masked ones."""
NETWORKS = tuple(BRANCHES)
WITH_TRIPLETS = ("Baseline 2", "Our method")  # the others have the cross-entropy alone (Sect. 3.2)
SCHEDULES = ("known", "printed")
RECIPE_EPOCHS = 250  # of the public recipe by which this VGG19 is known to learn FER2013

Output = tuple[Tensor, Tensor, Tensor]


class LKRNet(nn.Module):
    """The network of Sect. 3, or what a baseline leaves of it; its weights start as PyTorch draws them.

    Parameters
    ----------
    branches : sequence of {"global", "local"}
        Classifiers: of the feature maps as they are, or of the masked ones (Eq. 4).
    mask_stage
        Which feature maps are masked; see :data:`TAPS`.
    dropout
        Probability of dropping a unit behind each of the two hidden dense layers.
    branch_fusion : {"mean_softmax", "sum_logits", "global"}
        How the branches' predictions become one.
    width
        Scales every layer, for small machines.
    """

    def __init__(
        self,
        n_classes: int = 7,
        branches: Sequence[str] = ("global", "local"),
        *,
        mask_stage: str = "before_pool5",
        use_batchnorm: bool = True,
        dropout: float = 0.2,
        branch_fusion: str = "mean_softmax",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        stage, pooled, own = TAPS[one_of(mask_stage, TAPS, "mask_stage")]
        self.fusion = one_of(branch_fusion, FUSIONS, "branch_fusion")
        self.kinds = tuple(branches)
        filters = [max(1, round(n * width)) for n, _ in STAGES]

        def layers(number: int) -> dict[str, nn.Module]:
            made: dict[str, nn.Module] = {}
            inputs, outputs = ([3, *filters])[number - 1 : number + 1]
            for i in range(1, STAGES[number - 1][1] + 1):
                made[f"conv{number}_{i}"] = nn.Conv2d(inputs, outputs, 3, padding=1)
                if use_batchnorm:
                    made[f"norm{number}_{i}"] = nn.BatchNorm2d(outputs)
                made[f"relu{number}_{i}"] = nn.ReLU(inplace=True)
                inputs = outputs
            return made

        trunk: dict[str, nn.Module] = {}
        for number in range(1, stage + 1):
            trunk |= layers(number)
            if number < stage or pooled:
                trunk[f"pool{number}"] = nn.MaxPool2d(2)
        self.trunk = nn.Sequential(OrderedDict(trunk))
        self.map_size = SIZE >> (stage - (not pooled))  # pools round down
        side = SIZE >> (4 if mask_stage == "no_pool5" else 5)
        units = [max(1, round(n * width)) for n in HEAD]
        self.branches = nn.ModuleList()
        for _ in branches:
            branch: dict[str, nn.Module] = {}
            for name in own:
                branch |= layers(5) if name == "stage5" else {name: nn.MaxPool2d(2)}
            branch["classify"] = Classifier(filters[-1] * side * side, units, n_classes, dropout)
            self.branches.append(nn.Sequential(OrderedDict(branch)))

    def activation(self, stage: int) -> nn.Module:
        """Return the layer whose output is that of a stage (1 to 5; in the first branch) before its pool."""
        wanted = f"relu{stage}_{STAGES[stage - 1][1]}"
        return next(module for name, module in self.named_modules() if name.split(".")[-1] == wanted)

    def maps(self, images: Tensor) -> Tensor:
        """Return the feature maps p of grey images, ``(B, 512, 2, 2)`` under the recommended reading."""
        return self.trunk(images.expand(-1, 3, -1, -1))

    def embed(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Return the embeddings of all branches side by side, ``(B, 256)`` each."""
        return self(images, masks)[2].flatten(1)

    def forward(self, images: Tensor, masks: Tensor | None = None) -> Output:
        """Classify faces ``(B, 1, 44, 44)`` float with masks ``(B, 1, map_size, map_size)`` in [0, 1].

        Masks are needed by a local branch alone. Both may have an axis of V views after the first, whose
        probabilities are averaged. Returned are the scores ``(B, n_classes)``, whose softmax is the fused
        prediction, the logits ``(B, branches, n_classes)``, and the embeddings ``(B, branches, 256)``: f(x)
        of Eqs. (8) and (9), the second dense layer's features after its ReLU and before dropout.
        """
        if images.ndim == 5:
            flat = None if masks is None else masks.flatten(0, 1)
            scores, logits, embeddings = (
                t.unflatten(0, images.shape[:2]) for t in self(images.flatten(0, 1), flat)
            )
            return _mean_of_softmax(scores), logits.mean(1), embeddings.mean(1)
        p = self.maps(images)  # (B, 512, 2, 2)
        done = [
            branch(p if kind == "global" else p * masks)  # Eq. (4)
            for kind, branch in zip(self.kinds, self.branches, strict=True)
        ]
        logits, embeddings = (torch.stack(part, 1) for part in zip(*done, strict=True))  # (B, 2, 7 or 256)
        if len(self.kinds) == 1 or self.fusion == "global":
            return logits[:, 0], logits, embeddings
        scores = logits.sum(1) if self.fusion == "sum_logits" else _mean_of_softmax(logits)
        return scores, logits, embeddings


class Classifier(nn.Module):
    """Dense layers of 4096 and 256 units, each with ReLU and dropout, and one of ``n_classes`` (Fig. 3)."""

    def __init__(self, inputs: int, hidden: Sequence[int], n_classes: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise([inputs, *hidden]))
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(hidden[-1], n_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and the last hidden layer before dropout, from maps ``(B, C, h, w)``."""
        x = x.flatten(1)  # channel-major whatever the memory format
        for layer in self.dense:
            features = F.relu(layer(x))  # (B, 4096), (B, 256)
            x = self.dropout(features)
        return self.out(x), features


class Scores(nn.Module):
    """One tensor of logits for Grad-CAM: the branches' mean, or the global one's if that alone predicts."""

    def __init__(self, model: LKRNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Return the logits ``(B, n_classes)``."""
        logits = self.model(images, masks)[1]
        return logits[:, 0] if self.model.fusion == "global" else logits.mean(1)


def build(name: str, n_classes: int = 7, **readings: object) -> LKRNet:
    """Return one of :data:`NETWORKS`; ``readings`` are keywords of :class:`LKRNet`."""
    return LKRNet(n_classes, BRANCHES[one_of(name, NETWORKS, "network")], **readings)


def learning_rates(schedule: str, epochs: int) -> tuple[float, ...]:
    """Return one learning rate per epoch, ``printed`` or ``known``.

    ``printed``: 0.0001 for 20 epochs to warm up, then 0.001 times 0.8 per epoch (Sect. 4.2, Table 1); all
    rates together are worth 7 epochs at 0.001, however many follow. ``known``: the one under which this VGG19
    is known to learn FER2013, 0.01 and from epoch 80 on times 0.9 every five epochs, for 250 epochs. Fewer
    epochs are :func:`fer_lib.learn.recipes.one_cycle`.
    """
    if one_of(schedule, SCHEDULES, "lr_schedule") == "printed":
        rates = [1e-4 if i < 20 else 1e-3 * 0.8 ** (i - 20) for i in range(epochs)]
    elif epochs >= RECIPE_EPOCHS:
        rates = [0.01 * 0.9 ** (0 if i < 80 else 1 + (i - 80) // 5) for i in range(epochs)]
    else:
        return one_cycle(epochs)
    return tuple(float(f"{rate:.6g}") for rate in rates)


def _mean_of_softmax(logits: Tensor) -> Tensor:
    """Return scores ``(B, C)`` whose softmax is the mean of the softmaxes of ``(B, n, C)``."""
    return torch.logsumexp(F.log_softmax(logits.float(), dim=2), dim=1)
