"""LKRNet: VGG19 on 44x44 faces, with a second branch that sees the surroundings of five landmarks only.

The paper is ``lkrnet`` in :mod:`fer_lib.claims`. Sect. 3.2 (Fig. 3) describes the modified VGG19, Sect. 3.1
(Eq. 4) the two branches: one classifies the feature maps p, the other p times a mask of the key regions
(:mod:`fer_lib.papers.lkrnet.key_regions`), through classifiers of the same structure that share no weights.
The keyword
arguments are the paper's open readings; their defaults are the recommended ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_lib.errors import FerError, one_of
from fer_lib.learn.layers import Dropout

STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # filters and convolutions; a max pool after each
HEADS = {"modified": (4096, 256), "original": (4096, 4096)}  # dense layers before the softmax's
SIZE = 44  # of the image crop, in pixels (Sect. 4.2)

# Where the mask meets the feature maps: the stage after which they are taken, whether its pool has run, what
# each branch still does by itself (stages and pools), and the size of the image.
TAPS = {
    "before_pool5": (5, False, ("pool5",), SIZE),
    "after_pool5": (5, True, (), SIZE),
    "before_pool4": (4, False, ("pool4", "stage5", "pool5"), SIZE),
    "no_pool5": (5, False, (), SIZE),
    "input_224": (5, False, ("pool5",), 224),
}
FUSIONS = ("mean_softmax", "sum_logits", "global")
EMBEDDINGS = ("fc4096", "fc256", "logits")
NETWORKS = ("VGG19", "Baseline 1", "Baseline 2", "Our method")
WITH_TRIPLETS = ("Baseline 2", "Our method")  # the others have the cross-entropy alone (Sect. 3.2)

Output = tuple[Tensor, Tensor, Tensor]


class LKRNet(nn.Module):
    """The network of Sect. 3, or what a baseline leaves of it; its weights start as PyTorch draws them.

    Parameters
    ----------
    n_classes : int
        Softmax outputs.
    branches : sequence of {"global", "local"}
        Classifiers: of the feature maps as they are, or of the masked ones (Eq. 4).
    mask_stage : str
        Which feature maps are masked; see :data:`TAPS`.
    in_channels : {3, 1}
        3 repeats the grey image.
    use_batchnorm : bool
        Batch normalisation after each convolution.
    head : {"modified", "original"}
        Dense layers of 4096 and 256 units, or VGG19's own two of 4096.
    head_act : {"relu", "none"}
        After each of those dense layers.
    dropout : float
        Probability of dropping a unit behind each of them.
    branch_fusion : {"mean_softmax", "sum_logits", "global"}
        How the branches' predictions become one.
    embed_layer : {"fc256", "fc4096", "logits"}
        The features f(x) of Eqs. (8) and (9).
    width : float
        Scales every layer; 1 is the paper's network, smaller ones are for small machines.

    Raises
    ------
    FerError
        For an unknown reading, or a network without a branch.
    """

    def __init__(
        self,
        n_classes: int = 7,
        branches: Sequence[str] = ("global", "local"),
        *,
        mask_stage: str = "before_pool5",
        in_channels: int = 3,
        use_batchnorm: bool = True,
        head: str = "modified",
        head_act: str = "relu",
        dropout: float = 0.2,
        branch_fusion: str = "mean_softmax",
        embed_layer: str = "fc256",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        for name in branches:
            one_of(name, ("global", "local"), "branch")
        if not branches or in_channels not in (1, 3):
            raise FerError(f"A network needs a branch, and 1 or 3 input channels, not {in_channels}.")
        stage, pooled, own, size = TAPS[one_of(mask_stage, TAPS, "mask_stage")]
        self.fusion = one_of(branch_fusion, FUSIONS, "branch_fusion")
        self.embedding = EMBEDDINGS.index(one_of(embed_layer, EMBEDDINGS, "embed_layer"))
        one_of(head_act, ("relu", "none"), "head_act")
        self.kinds, self.in_channels, self.size = tuple(branches), in_channels, size
        filters = [max(1, round(n * width)) for n, _ in STAGES]

        def layers(number: int) -> dict[str, nn.Module]:
            channels = filters[number - 2] if number > 1 else in_channels
            return _stage(number, channels, filters[number - 1], STAGES[number - 1][1], use_batchnorm)

        trunk: dict[str, nn.Module] = {}
        for number in range(1, stage + 1):
            trunk |= layers(number)
            if number < stage or pooled:
                trunk[f"pool{number}"] = nn.MaxPool2d(2)
        self.trunk = nn.Sequential(OrderedDict(trunk))
        self.map_size = size >> (stage - (not pooled))  # pools round down
        side = size >> (4 if mask_stage == "no_pool5" else 5)
        units = [max(1, round(n * width)) for n in HEADS[one_of(head, HEADS, "vgg_head")]]
        self.branches = nn.ModuleList()
        for _ in branches:
            branch: dict[str, nn.Module] = {}
            for name in own:
                branch |= layers(5) if name == "stage5" else {name: nn.MaxPool2d(2)}
            branch["classify"] = Classifier(
                filters[-1] * side * side, units, n_classes, head_act == "relu", dropout
            )
            self.branches.append(nn.Sequential(OrderedDict(branch)))

    def activation(self, stage: int) -> nn.Module:
        """Return the layer whose output is that of a stage (1 to 5) before its pool, for Grad-CAM.

        Where every branch has a stage of its own, it is the first branch's.
        """
        wanted = f"relu{stage}_{STAGES[stage - 1][1]}"
        return next(module for name, module in self.named_modules() if name.split(".")[-1] == wanted)

    @property
    def last_convolution(self) -> nn.Module:
        """The last convolution, where Grad-CAM commonly looks: 2x2 cells on an image of 44x44."""
        return next(m for name, m in self.named_modules() if name.split(".")[-1] == "conv5_4")

    def load_trunk(self, state: dict[str, Tensor]) -> None:
        """Take the convolutions, and their normalisation, of another network of the same width.

        ``state`` is another LKRNet's, or what :func:`from_torchvision` returns. A three-channel first
        layer is summed over its channels for a network that reads one: on grey images it is the same.
        """
        given = {".".join(name.split(".")[-2:]): value for name, value in state.items()}
        own = self.state_dict()
        for name, value in own.items():
            key = ".".join(name.split(".")[-2:])
            if not key.startswith(("conv", "norm")):
                continue
            if key not in given:
                raise FerError(f"The weights to start from hold no {key}; do both normalise alike?")
            found = given[key]
            if key == "conv1_1.weight" and found.shape[1] == 3 and self.in_channels == 1:
                found = found.sum(1, keepdim=True)
            if found.shape != value.shape:
                raise FerError(
                    f"{key} is {tuple(found.shape)} in the weights to start from but {tuple(value.shape)} "
                    "here; networks must have the same width."
                )
            value.copy_(found)

    def maps(self, images: Tensor) -> Tensor:
        """Return the feature maps p, ``(B, 512, 2, 2)`` under the recommended reading."""
        return self.trunk(images.expand(-1, self.in_channels, -1, -1))

    def embed(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Return the embeddings of all branches side by side, ``(B, 256)`` each."""
        return self(images, masks)[2].flatten(1)

    def forward(self, images: Tensor, masks: Tensor | None = None) -> Output:
        """Classify faces.

        Parameters
        ----------
        images : Tensor
            ``(B, 1, S, S)`` float, S = 44 (224 for ``input_224``); or ``(B, V, 1, S, S)``, V views of each
            face (ten crops, say), whose probabilities are averaged.
        masks : Tensor, optional
            ``(B, 1, map_size, map_size)`` float in [0, 1], with the axis of the views where the images
            have it. Needed by a local branch.

        Returns
        -------
        scores : Tensor
            ``(B, n_classes)``; their softmax is the fused prediction.
        logits : Tensor
            ``(B, branches, n_classes)``, of each branch.
        embeddings : Tensor
            ``(B, branches, D)``, the output of the layer ``embed_layer``; D = 256 for ``fc256``.
        """
        if images.ndim == 5:
            flat = None if masks is None else masks.flatten(0, 1)
            scores, logits, embeddings = (
                t.unflatten(0, images.shape[:2]) for t in self(images.flatten(0, 1), flat)
            )
            return _mean_of_softmax(scores), logits.mean(1), embeddings.mean(1)
        if "local" in self.kinds and masks is None:
            raise FerError("A local branch needs the masks of the key regions beside the images.")
        p = self.maps(images)  # (B, 512, 2, 2)
        done = [
            branch(p if kind == "global" else p * masks)  # Eq. (4)
            for kind, branch in zip(self.kinds, self.branches, strict=True)
        ]
        logits = torch.stack([layers[-1] for layers in done], dim=1)  # (B, 2, 7)
        embeddings = torch.stack([layers[self.embedding] for layers in done], dim=1)  # (B, 2, 256)
        return self._fused(logits), logits, embeddings

    def _fused(self, logits: Tensor) -> Tensor:
        """Make one prediction of the branches', ``(B, n_classes)``."""
        if len(self.kinds) == 1 or self.fusion == "global":
            return logits[:, 0]
        return logits.sum(1) if self.fusion == "sum_logits" else _mean_of_softmax(logits)


class Classifier(nn.Module):
    """Dense layers of 4096 and 256 units, each with dropout, and one of ``n_classes`` (Fig. 3)."""

    def __init__(
        self, inputs: int, hidden: Sequence[int], n_classes: int, activation: bool, dropout: float
    ) -> None:
        super().__init__()
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise([inputs, *hidden]))
        self.act = nn.ReLU() if activation else nn.Identity()
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(hidden[-1], n_classes)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return both layers' activations before dropout and the logits, from maps ``(B, C, h, w)``."""
        x, outputs = x.flatten(1), []  # channel-major whatever the memory format
        for layer in self.dense:
            outputs.append(self.act(layer(x)))  # (B, 4096), (B, 256)
            x = self.dropout(outputs[-1])
        return [*outputs, self.out(x)]


class Scores(nn.Module):
    """One tensor of logits ``(B, n_classes)``, for tools that want that (Grad-CAM).

    The mean over the branches, or the global branch's where that alone predicts.
    """

    def __init__(self, model: LKRNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Return the logits; see :meth:`LKRNet.forward`."""
        logits = self.model(images, masks)[1]
        return logits[:, 0] if self.model.fusion == "global" else logits.mean(1)


def build(
    name: str,
    n_classes: int = 7,
    *,
    baseline1: str = "both_branches",
    baseline2: str = "single",
    vgg_head: str = "modified",
    **readings: object,
) -> LKRNet:
    """Return one of :data:`NETWORKS`; whether it learns from triplets too is the loss's affair.

    Parameters
    ----------
    baseline1 : {"both_branches", "local_branch"}
        Whether "only local key regions" keeps the global branch.
    baseline2 : {"single", "two_identical"}
        Whether the network without regions has one branch or two.
    vgg_head : {"modified", "original"}
        Classifier of the VGG19 row.
    readings
        Passed to :class:`LKRNet`.
    """
    one_of(baseline1, ("both_branches", "local_branch"), "baseline1")
    one_of(baseline2, ("single", "two_identical"), "baseline2")
    one_of(vgg_head, HEADS, "vgg_head")
    branches = {
        "VGG19": ("global",),
        "Baseline 1": ("global", "local") if baseline1 == "both_branches" else ("local",),
        "Baseline 2": ("global",) if baseline2 == "single" else ("global", "global"),
        "Our method": ("global", "local"),
    }
    head = vgg_head if name == "VGG19" else "modified"
    return LKRNet(n_classes, branches[one_of(name, NETWORKS, "network")], head=head, **readings)


def learning_rates(
    epochs: int, warmup: str = "constant", decay: float = 0.8, warmup_epochs: int = 20, scale: float = 1.0
) -> tuple[float, ...]:
    """Return one rate per epoch: 0.0001 to warm up, then 0.001 that shrinks (Sect. 4.2, Table 1).

    Parameters
    ----------
    warmup : {"constant", "linear", "throughout"}
        0.0001 for ``warmup_epochs`` and then 0.001; a straight line from one to the other; or 0.0001 for
        good.
    decay : float
        Factor from epoch to epoch after the warm-up; 1 for none.
    scale : float
        Times every rate.
    """
    low, high = 1e-4 * scale, 1e-3 * scale
    if one_of(warmup, ("constant", "linear", "throughout"), "warmup") == "throughout":
        return (low,) * epochs
    step = (high - low) / max(1, warmup_epochs) if warmup == "linear" else 0.0
    before = [low + step * epoch for epoch in range(min(epochs, warmup_epochs))]
    rates = (*before, *(high * decay**i for i in range(epochs - len(before))))
    return tuple(float(f"{rate:.6g}") for rate in rates)


def from_torchvision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the convolutions of torchvision's ``vgg19_bn`` or ``vgg19`` for :meth:`LKRNet.load_trunk`."""
    places = [f"{stage}_{i}" for stage, (_, n) in enumerate(STAGES, 1) for i in range(1, n + 1)]
    modules: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        if name.startswith("features."):
            _, index, leaf = name.split(".")
            modules.setdefault(index, {})[leaf] = value
    kinds = {"conv": [m for m in modules.values() if m["weight"].ndim == 4]}
    kinds["norm"] = [m for m in modules.values() if m["weight"].ndim == 1]
    return {
        f"{kind}{place}.{leaf}": value
        for kind, found in kinds.items()
        for place, module in zip(places, found, strict=False)  # vgg19 has no normalisation
        for leaf, value in module.items()
    }


def _stage(number: int, inputs: int, filters: int, convolutions: int, norm: bool) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    for i in range(1, convolutions + 1):
        layers[f"conv{number}_{i}"] = nn.Conv2d(inputs, filters, 3, padding=1)
        if norm:
            layers[f"norm{number}_{i}"] = nn.BatchNorm2d(filters)
        layers[f"relu{number}_{i}"] = nn.ReLU(inplace=True)
        inputs = filters
    return layers


def _mean_of_softmax(logits: Tensor) -> Tensor:
    """Return scores ``(B, C)`` whose softmax is the mean of the softmaxes of ``(B, n, C)``."""
    return torch.logsumexp(F.log_softmax(logits.float(), dim=2), dim=1)
