"""The register of open readings, and what flipping one changed where that was run."""

from __future__ import annotations

from html import escape

from IPython.display import HTML
from markup import Html, Long, Short, table, two_lines
from overview import NAMES, dataset_title

from fer_lib import claims, metrics, runs
from fer_lib.provenance import notebook_path


def counts() -> HTML:
    """Show how many readings each paper leaves open and how many of them were measured."""
    rows = []
    for paper in claims.PAPERS:
        frame = claims.ambiguities(paper)
        measured = {knob for knob in frame["knob"] if _measured(paper, knob)}
        rows.append(
            {
                "Paper": Short(NAMES[paper]),
                "Left open": len(frame),
                "Parameters of a notebook": len(frame) if notebook_path(paper).exists() else None,
                "Measured": len(measured) or None,
            }
        )
    return table(rows, list(rows[0])[1:], "Open readings per paper")


def of(paper: str) -> HTML:
    """Show a paper's register: what is open, its readings, ours, the parameter, what flipping it cost."""
    rows = []
    for entry in claims.ambiguities(paper).to_dict("records"):
        readings = "".join(f"<li>{escape(str(reading))}</li>" for reading in entry["readings"])
        ours = two_lines(str(entry["recommended"]), f"{entry['knob']} = {entry['default']!r}", Long)
        rows.append(
            {
                "What is open": Long(f"{escape(entry['problem'])}<ul>{readings}</ul>"),
                "Ours": ours,
                "Measured": Html("<br>".join(_measured(paper, entry["knob"]))) or None,
            }
        )
    return table(rows, (), f"Open readings of {NAMES[paper]}")


def _measured(paper: str, knob: str) -> list[str]:
    """Return a line per run that flips this reading alone: its accuracy less that of the same run without."""
    everything = runs.find(paper=paper)
    plain = {(r.dataset, r.budget, r.seed): r for r in everything if not r.variant}
    lines = []
    for run in everything:
        base = plain.get((run.dataset, run.budget, run.seed))
        if base is None or not run.variant.startswith(f"{knob}=") or "," in run.variant:
            continue
        for model in sorted(set(run.models()) & set(base.models())):
            if "@" in model:
                continue
            gain = 100 * (_accuracy(run, model) - _accuracy(base, model))
            where = f"{dataset_title(run.dataset)}, {run.budget}"
            lines.append(f"{escape(run.variant)}: {escape(model)} {gain:+.2f} points ({escape(where)})")
    return lines


def _accuracy(run: runs.Run, model: str) -> float:
    rows = run.predictions(model)
    return metrics.accuracy(rows["labels"], rows["probabilities"].argmax(1))
