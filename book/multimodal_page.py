"""What the multimodal page shows beyond the common parts: selection, robustness, ten passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

import pandas as pd
from IPython.display import HTML, Markdown
from markup import Html, Long, Short, table, two_lines
from overview import run_name

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.judge.report import subsets

CONDITIONS = {
    "occlusion_mouth": "Mouth covered",
    "occlusion_eye": "Eyes covered",
    "occlusion_mouth_and_eye": "Both covered",
    "high_brightness": "Brighter",
    "low_brightness": "Darker",
    "color_distortion": "Tones bent",
}
RIVALS = ("VGG", "ResNet", "Pramerdorfer", "Agrawal", "SVM")
BRANCHES = ("image", "landmarks", "HOG")
PAIRS = ("image+landmarks", "image+HOG", "landmarks+HOG")
DIFFERENCE = "Largest difference in a probability"


def detection(shown: Iterable[runs.Run]) -> HTML:
    """Show, per run and split, in how many images the detector found a face, and in which class least."""
    rows = []
    for run in shown:
        frame = run.table("detection")
        for split, part in frame.groupby("split", sort=False) if len(frame) else ():
            least, most = part.loc[part["rate"].idxmin()], part.loc[part["rate"].idxmax()]
            rows.append(
                {
                    "Images": two_lines(split.replace("_", " "), run_name(run), Short),
                    "Looked at": int(part["images"].sum()),
                    "Face found (%)": _percent(part["detected"].sum() / part["images"].sum()),
                    "Least": two_lines(least["class"], _percent(least["rate"])),
                    "Most": two_lines(most["class"], _percent(most["rate"])),
                }
            )
    return table(rows, ["Looked at", "Face found (%)"], "Faces that the detector finds")


def selection(shown: Iterable[runs.Run], models: Iterable[str]) -> HTML:
    """Show accuracy on the images kept, dropped and on all, and what selection adds, per run."""
    models = list(models)
    rows = []
    for run in shown:
        frame = run.table("selection")
        for row in frame.to_dict("records") if len(frame) else ():
            if row["model"] not in models:
                continue
            line = {"Model": two_lines(row["model"], run_name(run), Short)}
            for head, name in _selected(row).items():
                line[head] = name and two_lines(
                    Html(f"{row[f'{name} (%)']:.1f}"), f"{row[f'{name}, images']:,} images"
                )
            rows.append(line | {"By selection": Html(f"{row['gain by selection (points)']:+.1f}")})
    return table(rows, list(rows[0])[1:] if rows else (), "Accuracy with and without the noise")


def _selected(row: Mapping[str, object]) -> dict[str, str | None]:
    """Return which test part is of the images kept, which of all and which, if any, of those dropped.

    The run's own protocol goes by another name: it is of the images kept, or of all where none is left out.
    """
    parts = [name.removesuffix(" (%)") for name in row if name.endswith(" (%)")]
    (own,) = set(parts) - {"kept", "whole", "dropped"}
    kept, every = ("kept", own) if "kept" in parts else (own, "whole")
    return {"Kept": kept, "All": every, "Dropped": "dropped" if "dropped" in parts else None}


def differences(shown: Iterable[runs.Run]) -> HTML:
    """Show the network's lead over each rival and ablation on the same images, per run."""
    rows = []
    for run in shown:
        frame = run.table("differences")
        for row in frame.to_dict("records") if len(frame) else ():
            name = two_lines(_versus(row["comparison"]), run_name(run), Short)
            rows.append(
                {"Difference": name, "Points [95 %]": row["points"], "p (McNemar)": str(row["p (McNemar)"])}
            )
    return table(rows, list(rows[0])[1:] if rows else (), "Differences on the same test images")


def _versus(comparison: str) -> str:
    """Return ``A minus B`` as who is set against whom; the network of some branches is called alone."""
    networks = [name.partition(" without ") for name in comparison.split(" minus ")]
    alone = (*BRANCHES, *PAIRS)
    return " against ".join(f"{n}{' alone' * (n in alone)}{w}{what}" for n, w, what in networks)


def robustness(shown: Iterable[runs.Run]) -> HTML:
    """Show accuracy undisturbed and the points lost at the strongest severity, per run and model."""
    rows = []
    for run in shown:
        frame = run.table("robustness")
        for model, part in frame.groupby("model", sort=False) if len(frame) else ():
            calm = part[part["severity"] == 0].iloc[0]
            row = {
                "Model": two_lines(model, run_name(run), Short),
                "Undisturbed": two_lines(_percent(calm["accuracy"]), f"{int(calm['n']):,} images"),
            }
            worst = _strongest(part)["accuracy"]
            rows.append(
                row | {label: _points(worst[name] - calm["accuracy"]) for name, label in CONDITIONS.items()}
            )
    return table(rows, ["Undisturbed", *CONDITIONS.values()], "Points lost under interference")


def found_again(shown: Iterable[runs.Run]) -> HTML:
    """Show in how many disturbed images, at the strongest severity, the detector still finds the face."""
    rows = []
    for run in shown:
        frame = run.table("robustness")
        if "detected" not in frame:
            continue
        part = frame[frame["detected"].notna()]
        rates = _strongest(part)["detected"]
        row = {
            "Face found again (%)": run_name(run),
            "Undisturbed": _percent(part.loc[part["severity"] == 0, "detected"].iloc[0]),
        }
        rows.append(row | {label: _percent(rates[name]) for name, label in CONDITIONS.items()})
    return table(rows, ["Undisturbed", *CONDITIONS.values()], "Faces found again under interference")


def ten_predictions(shown: Iterable[runs.Run]) -> HTML:
    """Show what the average of ten predictions can be, and what it gives, per run."""
    rows = []
    for run in shown:
        frame = run.table("ten_predictions")
        for row in frame.to_dict("records") if len(frame) else ():
            far = row["largest difference in a probability"]
            rows.append(
                {
                    "What is averaged": two_lines(row["what is averaged"], run_name(run), Short),
                    "Accuracy [95 %]": row["accuracy"],
                    DIFFERENCE: None if pd.isna(far) else Html(f"{far:.3f}"),
                }
            )
    return table(rows, ["Accuracy [95 %]", DIFFERENCE], "What ten predictions can be")


def findings(shown: Iterable[runs.Run]) -> Markdown:
    """Say what the runs on real data found, in sentences whose figures are those of their evidence."""
    said = "\n\n".join(_findings(run) for run in shown if run.models())
    return Markdown(said or "*Nothing has been run on real data yet.*")


def _findings(run: runs.Run) -> str:
    """Return one run's findings as a list: rivals, parts, selection, robustness, ten predictions."""
    lines = [f"**{run_name(run)}** ({'; '.join(run.info['changes']) or 'nothing changed'}):", ""]
    score = subsets(run, "OURS").iloc[0]
    lines.append(
        f"* The network is right on {score['accuracy']:.1f} % [{score['low']:.1f}, {score['high']:.1f}] of "
        f"{int(score['n']):,} faces. Of its rivals, on the same images and in points, it is "
        f"{_leads(run, RIVALS)}."
    )
    lines.append(
        "* Of its own branches alone, and of itself without attention, it is "
        f"{_leads(run, (*BRANCHES, 'OURS without CBAM'))}. Of two branches without the third it is "
        f"{_leads(run, PAIRS)}."
    )
    selection = run.table("selection")
    if len(selection):
        gains = selection.set_index("model")["gain by selection (points)"]
        shown = ", ".join(f"{name} {gains[name]:.1f}" for name in ("OURS", "VGG", "ResNet"))
        lines.append(f"* Points gained by leaving out the images in which no face is found: {shown}.")
    lines += _robust(run) + _fast(run)
    ten = run.table("ten_predictions").set_index("what is averaged")["accuracy"]
    lines.append("* Ten predictions: " + "; ".join(f"{name} {value} %" for name, value in ten.items()) + ".")
    return "\n".join(lines)


def _leads(run: runs.Run, rivals: Iterable[str]) -> str:
    """Return of whom the network is ahead, of whom not, by the sign of both ends of the interval."""
    points = run.table("differences").set_index("comparison")["points"]
    said: dict[str, list[str]] = {"ahead of": [], "not told apart from": [], "behind": []}
    for name in rivals:
        text = points[f"OURS minus {name}"]
        low, high = (float(end) for end in text.partition("[")[2].rstrip("]").split(","))
        word = "ahead of" if low > 0 else "behind" if high < 0 else "not told apart from"
        said[word].append(f"{name} ({text})")
    return "; ".join(f"{word} {', '.join(names)}" for word, names in said.items() if names)


def _robust(run: runs.Run) -> list[str]:
    """Return what covering mouth and eyes costs each network, as a line of the findings."""
    frame = run.table("robustness")
    if not len(frame):
        return []
    part = frame[frame["condition"] == "occlusion_mouth_and_eye"]
    lost = part[part["severity"] == part["severity"].max()].set_index("model")["accuracy"]
    calm = part[part["severity"] == 0].set_index("model")
    lost = 100 * (calm["accuracy"] - lost)
    names = [name for name in ("OURS", "OURS, found again", "VGG", "ResNet", "image") if name in lost]
    shown = "; ".join(f"{name} {lost[name]:.1f} ({calm.loc[name, 'n']:,} images)" for name in names)
    return [
        f"* Points lost with mouth and eyes covered: {shown}. The first is given the landmarks of the "
        "uncovered face, the second has those that can be found in the covered one."
    ]


def _fast(run: runs.Run) -> list[str]:
    """Return how long an image takes, with what must come before the model, as a line of the findings."""
    frame = run.table("speed")
    if not len(frame):
        return []
    took = frame.set_index("step")["milliseconds"].rename(lambda step: step.removesuffix(", landmarks given"))
    search = took.get("face and landmarks (dlib)")
    if search is None:
        return []
    names = [name for name in ("OURS", "VGG", "ResNet", "SVM") if name in took]
    shown = "; ".join(f"{name} {took[name]:.2f}" for name in names)
    aligned = run.info["parameters"]["align"] == "eyes"
    whose = "each, since all read faces aligned by the eyes" if aligned else "those that read landmarks"
    timed = "" if "SVM" in took else ", which was not timed"
    return [
        f"* Milliseconds per image, on the machine named below, once the face is found: {shown}. The search "
        f"for face and landmarks adds {search:.2f} to {whose}. The paper prints no time; it claims to be "
        f"faster than the traditional algorithm, which here is the SVM{timed}."
    ]


def doubts(paper: claims.Paper, weights: Iterable[str] = ("high",)) -> HTML:
    """Show what does not add up in the paper and weighs so much, each with where it stands."""
    shown = [e for e in paper.inconsistencies if e["severity"] in weights and e["kind"] != "external"]
    rows = [{"What": Long(escape(entry["what"])), "Where": entry["where"]} for entry in shown]
    return table(rows, label="What does not add up")


def _strongest(part: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the strongest severity by condition."""
    return part[part["severity"] == part["severity"].max()].set_index("condition")


def _percent(share: float) -> Html:
    return Html(f"{100 * share:.1f}")


def _points(share: float) -> Html:
    return Html(f"{100 * share:+.1f}")
