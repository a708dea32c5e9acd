"""Networks of the chapters' own runs, for the explore panel, where they kept weights beside the evidence.

Whatever they were trained on, here they read the panel's faces, turned level and cropped by the eyes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from fer_lib import faces
from fer_lib.errors import FerError
from fer_lib.evidence import runs
from fer_lib.evidence.runs import Run
from fer_lib.features import hog
from fer_lib.learn import metrics, units
from fer_lib.learn.normalisation import Normalisation
from fer_lib.learn.training import Feed, Part
from fer_lib.papers.control.network import MiniXception
from fer_lib.play.explore_models import Explored
from fer_lib.play.zoo import LANDMARKS, NETWORKS, EyeFeed, Network, Trained, modalities

STILL = ("C2", "Multimodal", "Benchmark", "C-SPP", "VGG19", "LKRNet")  # read a face, no words or frames
OFFERED = {
    ("cnn_sift", "C2"): NETWORKS["C2"],
    ("multimodal", "OURS"): NETWORKS["Multimodal"],
    ("cspp", "Benchmark"): NETWORKS["Benchmark"],
    ("cspp", "C-SPP"): NETWORKS["C-SPP"],
    ("lkrnet", "VGG19"): NETWORKS["VGG19"],
    ("lkrnet", "Our method"): NETWORKS["LKRNet"],
    ("control", "mini-Xception"): Network("control", "", lambda n, width: MiniXception(n), "global"),
} | {
    ("matrix", n): replace(NETWORKS[n], structure=("activation",) * (NETWORKS[n].paper == "cspp"))
    for n in STILL
}
"""Notebook and name there -> network."""


@dataclass(frozen=True)
class Kept:
    """A network whose weights a run kept."""

    run: Run
    name: str
    fold: str

    @property
    def title(self) -> str:
        """Its name, and the run that it is of."""
        return f"{self.name}: {self.run.dataset}, {self.run.budget}, {self.run.path.name}"

    def load(self) -> Explored:
        """Build the network; FerError if its weights are damaged or of another than today's code builds."""
        run, network = self.run, OFFERED[self.run.paper, self.name]
        path, classes = run.path / "weights" / f"{self.name} {self.fold}.pt", tuple(run.info["classes"])
        plan, chosen = run.info["plan"], run.info["parameters"]
        width = plan.get("widths", {}).get(self.name, plan.get("width", 1)) * chosen.get("width", 1)
        try:
            # A budget may choose in place of the notebook's parameters.
            known = chosen | {name: value for name, value in plan.items() if value is not None}
            built = {name: known[name] for name in network.structure}
            if run.paper == "multimodal":
                built["hog"] = hog.length(chosen["hog"])
            model = network.build(len(classes), width=width, **built)
            model.load_state_dict(units.read_weights(path))
            feed = _feed(run, network, units.read_weights(path, "statistics"))
        except Exception as error:  # a damaged file may raise almost anything
            why = str(error).strip().splitlines() or [type(error).__name__]
            raise FerError(f"{path} cannot be used ({why[0]}); run it again with --force.") from None
        rows, samples = run.predictions(self.name), run.samples()
        rows = {name: column[rows["fold"] == self.fold] for name, column in rows.items()}
        hits, groups = metrics.correct(rows, samples[samples["fold"] == self.fold])
        right, (low, high) = float(hits.mean()), metrics.interval(hits, groups)
        about = (
            f"{self.title}: right on {right:.0%} [{low:.0%}, {high:.0%}] of the {len(hits):,} faces that its "
            f"run tested ({self.fold}), as its chapter frames them. Here it sees faces turned level and "
            "cropped by the eyes, and may have been trained on some of them: no result of the chapter."
        )
        trained = Trained(network, model.eval(), feed, len(classes))
        return Explored(self.title, about, trained, classes, right, low, high, len(hits), here=False)


def found(results: str | Path = "results") -> dict[str, Kept]:
    """Return the networks that runs below ``results`` kept, by their titles; of several folds the first."""
    kept: dict[str, Kept] = {}
    for run in runs.find(results):
        for path in sorted((run.path / "weights").glob("*.pt")):
            name, _, fold = path.stem.rpartition(" ")
            with suppress(FerError):  # of a damaged run.json
                if (run.paper, name) in OFFERED and fold != "fer2013":  # where paper 1's were trained before
                    kept.setdefault((one := Kept(run, name, fold)).title, one)
    return kept


def _feed(run: Run, network: Network, statistics: dict[str, Tensor]) -> Feed:
    """Return what makes a network's inputs of a batch of :func:`fer_lib.play.zoo.part`."""
    chosen, normalise = run.info["parameters"], Normalisation(statistics.get("mean"), statistics.get("std"))
    if chosen.get("normalisation", network.normalisation) in ("pixel", "global") and normalise.mean is None:
        raise FerError("it is not known how its grey levels were scaled")
    if network.paper == "multimodal":
        own = {name: chosen[name] for name in ("landmark_norm", "hog") if name in chosen}
        return modalities.MultimodalFeed(normalise, statistics["mean_face"], **own)
    if run.paper == "cspp":
        level = EyeFeed(intensity=chosen["intensity_norm"])

        def read(batch: Part, _: bool) -> tuple[Tensor, ...]:
            eyes = torch.as_tensor(faces.eyes(batch.extra[LANDMARKS].numpy()))
            return level(Part(batch.images, batch.labels, (eyes,)), False)

        return read
    if run.paper == "control":
        return lambda batch, _: (F.interpolate(normalise(batch.images), 64, mode="bilinear"),)
    return network.reads(None, normalise)
