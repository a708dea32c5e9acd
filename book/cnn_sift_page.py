"""What the cnn_sift page shows beyond the common parts: what its runs found, in sentences."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from IPython.display import Markdown
from overview import run_name

from fer_lib.evidence import runs
from fer_lib.judge import answers
from fer_lib.judge.report import subsets

AVERAGES = ("CNN-ONLY", "CNN-SIFT", "CNN-SIFT-AVG")
CNNS = ("C1", "C2", "C3")
# With SIFT and without: the averages of three networks, one network, and six networks against three.
GAINS = (("CNN-SIFT", "CNN-ONLY"), ("S2", "C2"), ("CNN-SIFT-AVG", "CNN-ONLY"))


def findings(shown: Iterable[runs.Run]) -> Markdown:
    """Say what the runs on real data found, in sentences whose figures are those of their evidence."""
    said = "\n\n".join(_findings(run) for run in shown if set(AVERAGES) <= set(run.models()))
    return Markdown(said or "*Nothing has been run on real data yet.*")


def gain(run: runs.Run, better: str, worse: str) -> answers.Answer:
    """Return by how many points one model is ahead of another on the same images, with its interval."""
    return answers.lead([run], better, worse)


def commonest(run: runs.Run) -> float:
    """Return in how many per cent of a run's test images the commonest expression would be right."""
    counts = np.bincount(run.predictions(AVERAGES[0])["labels"])
    return 100 * counts.max() / counts.sum()


def _findings(run: runs.Run) -> str:
    """Return one run's findings as a list: accuracies, gains and what fewer training images do."""
    lines = [f"**{run_name(run)}** ({'; '.join(run.info['changes']) or 'nothing changed'}):", ""]
    rows = {name: subsets(run, name).iloc[0] for name in AVERAGES}
    figures = "; ".join(
        f"{name} {row['accuracy']:.1f} % [{row['low']:.1f}, {row['high']:.1f}]" for name, row in rows.items()
    )
    lines.append(
        f"* Accuracy on {int(rows['CNN-ONLY']['n']):,} test images: {figures}. Always naming the commonest "
        f"expression would be right on {commonest(run):.1f} %."
    )
    pairs = [pair for pair in GAINS if set(pair) <= set(run.models())]
    leads = "; ".join(_lead(run, *pair) for pair in pairs)
    lines.append(f"* Leads, in points on the same images: {leads}.{_apart(run)}")
    sizes = run.table("sizes")
    if len(sizes):
        wide = 100 * sizes.pivot_table(index="n", columns="model", values="accuracy")
        gains = wide["CNN-SIFT"] - wide["CNN-ONLY"]
        shown = "; ".join(f"{n:,} images {points:+.1f}" for n, points in gains.items())
        steps, alone = run.info["plan"]["steps"], wide["CNN-ONLY"]
        lines.append(
            f"* CNN-SIFT minus CNN-ONLY, trained on fewer images for about {steps} steps: {shown}. CNN-ONLY "
            f"itself is then right on {alone.min():.1f} to {alone.max():.1f} %."
        )
    resumed = run.info.get("units_resumed")
    if resumed:
        lines.append(
            f"* {resumed} of its trainings were taken over from an earlier, broken-off execution; where "
            "that was at another commit, the changelog says so."
        )
    return "\n".join(lines)


def _apart(run: runs.Run) -> str:
    """Say how far the single networks without SIFT lie apart, if a run has them all."""
    if not set(CNNS) <= set(run.models()):
        return ""
    figures = [subsets(run, name).iloc[0]["accuracy"] for name in CNNS]
    return f" C1, C2 and C3, all without SIFT, lie up to {max(figures) - min(figures):.1f} points apart."


def _lead(run: runs.Run, better: str, worse: str) -> str:
    found = gain(run, better, worse)
    word = "ahead of" if found.low > 0 else "behind" if found.high < 0 else "not told apart from"
    return f"{better} is {word} {worse} ({found.ours:+.2f} [{found.low:+.2f}, {found.high:+.2f}])"
