"""How networks fare under interference (Fig. 7): on all test images, and on four of them as the paper has it.

Interference is put on the image as it was read, and the landmarks are looked for in the disturbed image, as
any system would have to; where no face is found again, they are those of the whole image. All faces stay
aligned by the eyes of the undisturbed image, to every network alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from fer_lib import claims, faces
from fer_lib.data.corpus import Corpus
from fer_lib.evidence.recorder import Recorder
from fer_lib.features.robustness import CONDITIONS, disturb
from fer_lib.learn import metrics
from fer_lib.learn.training import Part
from fer_lib.papers.multimodal.processed import aligned, completed
from fer_lib.papers.multimodal.trainer import Answer

KEPT = "OURS, landmarks kept"
"""The paper's network, given the landmarks of the undisturbed image: what no system would have."""
FIGURE_7 = {
    "A": ("occlusion_mouth", "occlusion_eye"),
    "B": ("occlusion_mouth", "high_brightness"),
    "C": ("occlusion_mouth", "occlusion_mouth_and_eye"),
    "D": ("color_distortion", "low_brightness"),
}


@dataclass(frozen=True)
class Interference:
    """Disturbs test faces and asks networks about them."""

    faces: Corpus  # as read, with all landmarks known
    align: str
    asked: Mapping[str, Answer]  # what each model says of a part
    part: Callable[[Corpus], Part]

    def disturbed(self, condition: str, severity: float) -> tuple[Corpus, Corpus, np.ndarray | None]:
        """Return the faces under a condition, with the landmarks of the undisturbed and the disturbed image.

        Last, bool (N,), where a face was found again; None for synthetic faces, whose landmarks are kept.
        """
        own = self.faces
        images = disturb(torch.tensor(own.images), condition, severity, torch.tensor(own.landmarks)).numpy()
        kept = aligned(replace(own, images=images), self.align)
        if own.card.synthetic or not severity:
            return kept, kept, None if own.card.synthetic else own.valid
        points = faces.landmarks(images)
        again = replace(own, images=images, landmarks=completed(images, points))
        return kept, aligned(again, self.align, own.landmarks), np.isfinite(points).all((1, 2))

    def answers(self, condition: str, severity: float) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Return every model's probabilities under a condition, and where a face was found again."""
        kept, found, detected = self.disturbed(condition, severity)
        said = {name: ask(self.part(found)) for name, ask in self.asked.items()}
        if found is not kept:
            said[KEPT] = self.asked["OURS"](self.part(kept))
        elif detected is not None:
            said[KEPT] = said["OURS"]
        return said, detected

    def sweep(self, severities: Sequence[float], recorder: Recorder, fold: str) -> pd.DataFrame:
        """Ask every model under every condition and severity; return a line of fractions for each.

        What is said at the strongest is recorded as ``<model>@<condition>``. ``detected`` is NaN where
        nothing was looked for.
        """
        labels, ids = self.faces.labels, self.faces.ids
        groups = ids if self.faces.subjects is None else self.faces.subjects
        rows, calm = [], self.answers(CONDITIONS[0], 0.0)
        for condition in CONDITIONS:
            for severity in (0.0, *severities):
                said, detected = calm if severity == 0 else self.answers(condition, severity)
                share = np.nan if detected is None else detected.mean()
                for model, p in said.items():
                    if severity == max(severities):
                        p = recorder.add_predictions(f"{model}@{condition}", p, labels, ids, fold)
                        p = p["probabilities"]  # as they are stored
                    hits = p.argmax(1) == labels
                    low, high = metrics.interval(hits, groups)
                    row = {"condition": condition, "severity": severity, "model": model, "n": len(hits)}
                    row |= {"accuracy": hits.mean(), "low": low, "high": high, "detected": share}
                    rows.append(row)
        return pd.DataFrame(rows)

    def four_images(self, models: Sequence[str]) -> tuple[pd.DataFrame, dict[str, np.ndarray], list[str]]:
        """Return stand-ins for Fig. 7: images that the models get right undisturbed, in turn one of a class.

        The table has a line per image and condition: confidence of a right answer in per cent, ``NULL`` for
        a wrong one, and on real faces what is printed for that place of the figure. Pictures are
        ``original``, ``1`` and ``2``, uint8 (n, H, W) as read; titles are those of the n images.
        """
        own, (calm, _) = self.faces, self.answers(CONDITIONS[0], 0.0)
        right = np.all([calm[name].argmax(1) == own.labels for name in models], axis=0)
        by_class = [np.flatnonzero(right & (own.labels == i)) for i in range(len(own.classes))]
        examples = [members[k] for k in range(4) for members in by_class if len(members) > k][:4]
        printed = claims.frame("multimodal").set_index(["image", "condition", "model"])["value"]
        rows, pictures, titles = [], {}, []
        for (image, pair), i in zip(FIGURE_7.items(), examples, strict=False):
            one, truth = replace(self, faces=own.select([i])), own.labels[i]
            shown = [c.removeprefix("occlusion_").replace("_", " ") for c in pair]
            lines = (f"{k}: {name}" for k, name in enumerate(shown, 1))
            titles.append("\n".join((f"{image}, {own.classes[truth]}", *lines)))
            for place, condition in zip(("original", "1", "2"), ("original", *pair), strict=True):
                severity = 1.0 if condition.startswith("occlusion") else 0.5  # regions are covered whole
                how = (CONDITIONS[0], 0.0) if condition == "original" else (condition, severity)
                said = one.answers(*how)[0]
                row = {"image": image, "expression": own.classes[truth]}
                row["condition"] = condition.replace("_", " ")
                for name in models:
                    p = said[name][0]
                    row[name] = _confidence(100 * p.max() if p.argmax() == truth else None)
                    if not own.card.synthetic:
                        row[f"{name}, printed"] = _confidence(printed[image, condition, name])
                rows.append(row)
                pictures.setdefault(place, []).append(one.disturbed(*how)[0].images[0])
        return pd.DataFrame(rows), {k: np.stack(v) for k, v in pictures.items()}, titles


def _confidence(value: float | None) -> str:
    return "NULL" if pd.isna(value) else f"{value:.1f}"
