"""What the pages on environment and performance show: packages, machines, and what benchmarks measured."""

from __future__ import annotations

import ast
import json
import platform
from collections.abc import Iterable, Mapping
from html import escape
from importlib import metadata
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pandas as pd
from about_runs import NAMES, run_link, run_name
from corpora import measured_faces
from IPython.display import HTML
from markup import Html, Long, Short, cell, folded, table, with_note
from packaging.requirements import Requirement

from fer_lib.evidence import runs
from fer_lib.evidence.provenance import PACKAGES, repository
from fer_lib.learn.precision import LEAST_GAIN
from fer_lib.show import plots
from fer_lib.show.pages import called
from fer_lib.show.plots.style import MUTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATIOS = {
    "ratio": ("this library / usual loop", "the usual loop"),
    "times_faster": ("this library / scikit-image", "scikit-image"),
    "side_by_side_is_faster_by": ("side by side / one after another", "one after another"),
}
"""What a benchmark calls a ratio of two speeds: whose it is, and what is faster where it is below one."""
UNITS = {
    "microseconds": "µs per image",
    "milliseconds": "ms per image",
    "gflop": "10⁹ operations per second",
    "operations": "10⁶",
    "per_cent": "%",
    "per_second": "images or clips per second",
    "seconds": "seconds",
    "mib": "MiB",
    **{name: f"ratio; below 1, {slower} is faster" for name, (_, slower) in RATIOS.items()},
    "accuracy": "share of the test images",
    "loss": "nats",
    "reference": "images per second",
    "ours": "images per second",
}
"""A part of what a benchmark calls a number, and the number's unit; the first that fits counts."""
LABELS = {
    "reference": "speed, usual loop",
    "ours": "speed, this library",
    "reference_accuracy": "accuracy, usual loop",
    "ours_accuracy": "accuracy, this library",
    "reference_loss": "training loss at the end, usual loop",
    "ours_loss": "training loss at the end, this library",
    "reference_memory_mib": "memory, usual loop",
    "ours_memory_mib": "memory, this library",
    "peak_memory_mib": "highest memory of the process",
    "microseconds_ours": "time, this library",
    "microseconds_scikit_image": "time, scikit-image",
    "largest_difference": "largest difference between the two results",
    "native_bf16": "processor has units for bf16",
    "median_seconds": "median time",
    "seconds": "time of each round",
} | {name: f"speed, {of}" for name, (of, _) in RATIOS.items()}
"""What a benchmark calls a number, and what a reader does."""
UNTIMED = ("__init__", "record", "people", "unchanged")
"""Modules of benchmarks/ that time nothing; the last two are told on the pages of people and of runs."""
NOT_RECORDED = HTML('<p class="not-run">Not recorded.</p>')


def pinned() -> dict[str, str]:
    """Return the versions that requirements.lock pins for this Python and platform, by name."""
    found = {}
    for line in (repository() / "requirements.lock").read_text("utf-8").splitlines():
        text = line.split(" #")[0].strip()
        if not text or text.startswith(("#", "-")):
            continue
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate():
            found[wanted.name.lower()] = ", ".join(spec.version for spec in wanted.specifier)
    return found


def packages() -> HTML:
    """Show Python and packages: as pinned, in this build, and in the recorded runs on real data."""
    made = [run.info["provenance"] for run in runs.find() if run.dataset != "synthetic"]
    here = {dist.name.lower(): dist.version for dist in metadata.distributions()}
    here["Python"], lock, rows = platform.python_version(), pinned(), []
    # The version of fer-lib says less than the commit, which each run names.
    for name in ("Python", *(name for name in PACKAGES if name != "fer-lib")):
        ran = {one["packages"].get(name) if name != "Python" else one["python"] for one in made}
        row = {"Package": name, "Pinned": lock.get(name), "This build": here.get(name)}
        rows.append(row | {"Recorded runs": ", ".join(sorted(filter(None, ran)))})
    return table(rows, (), "Packages")


def other_packages() -> HTML:
    """Show every other pinned package, folded up."""
    rest = {name: version for name, version in pinned().items() if name not in PACKAGES}
    rows = [{"Package": name, "Pinned": version} for name, version in rest.items()]
    return HTML(folded(f"All other pinned packages ({len(rows)})", table(rows, (), "Other packages").data))


def machine(made: Mapping[str, Any]) -> Long:
    """Return the hardware of one provenance: the graphics card or the processor first."""
    processor = f"{made['cpu']}, {made['cores']} core{'' if made['cores'] == 1 else 's'}"
    if made.get("gpu"):
        return with_note(f"{made['gpu']}, {made['gpu_memory_gib']} GiB", processor, Long)
    return with_note(processor, made.get("platform"), Long)


def benchmarks() -> dict[str, str]:
    """Return what each benchmark measures: its name and the first paragraph of its module."""
    paths = sorted((repository() / "benchmarks").glob("*.py"))
    texts = {path.stem: ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "" for path in paths}
    return {n: " ".join(text.split("\n\n")[0].split()) for n, text in texts.items() if n not in UNTIMED}


def measured() -> list[dict[str, Any]]:
    """Return what ``python -m benchmarks.record`` kept, by benchmark and number."""
    paths = (repository() / "results/benchmarks").glob("*-*.json")
    order = sorted(paths, key=lambda path: (path.stem.rpartition("-")[0], int(path.stem.rpartition("-")[2])))
    return [json.loads(path.read_text("utf-8")) for path in order]


def flat(value: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the figures of nested mappings, their names joined: ``fit: ours``."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{name}: {key}" if name else str(key))
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value))
    else:
        yield name, value


def what_there_is() -> HTML:
    """Show each benchmark, the command that runs it and how often it was recorded."""
    kept, rows = [entry["benchmark"] for entry in measured()], []
    for name, text in benchmarks().items():
        what = with_note(text.replace("``", ""), f"python -m benchmarks.{name}", Long)
        link = Short(f'<a href="#recorded-{name}">{kept.count(name)}</a>')
        absent = Html('<span class="not-run">not recorded</span>')
        if name == "faces" and measured_faces():  # which has a file and a page of its own
            absent = Short('<a href="datasets_fer2013.html#finding-the-face">FER2013</a>')
        rows.append({"Benchmark": what, "Recorded": link if name in kept else absent})
    return table(rows, (), "Benchmarks")


def precisions() -> HTML:
    """Show, run by run, what each network was trained in and what bf16 gained or got wrong there.

    Drawn faces are shown only where no run is on real data.
    """
    parts, every = [], runs.find()
    for run in [run for run in every if run.dataset != "synthetic"] or every:
        rows = []
        for entry in run.info.get("precision", []):
            networks = ", ".join(dict.fromkeys(unit.rpartition(" ")[0] for unit in entry["units"]))
            row = {"Networks": Long(escape(called(networks)))}
            row["Trained in"] = {"fp32": "float32"}.get(entry["name"], entry["name"])
            row["bf16 over float32"] = Html(f"{entry['gain']:.2f}×") if entry["gain"] else None
            rows.append(row | {"Why": Long(cell(entry["reason"]))})
        if rows:
            made = f"{run_link(run)}, on {machine(run.info['provenance'])}"
            body = table(rows, ["bf16 over float32"], "Precision", made).data
            parts.append(folded(f"{NAMES[run.paper]} on {escape(run_name(run))}", body))
    said = (
        f"<p>bf16 is used where it is right and at least {LEAST_GAIN} times as fast. <em>bf16 over "
        "float32</em> is how many times as fast a training step is in bf16, on the machine of that run.</p>"
    )
    return HTML(said + "".join(parts)) if parts else NOT_RECORDED


def speedups() -> Figure | HTML:
    """Draw how many times as fast the library's way is, in every recording that compares two ways."""
    rows = []
    for entry in measured():
        for key, value in flat(entry["measured"]):
            of, _, what = key.rpartition(": ")
            if what in RATIOS:
                name = ", ".join(filter(None, (entry["benchmark"], called(of))))
                row = {"label": f"{name}\n{RATIOS[what][0]}", "group": "", "note": f"{value:.3g} times"}
                rows.append(row | dict.fromkeys(("value", "low", "high"), value))
    if not rows:
        return NOT_RECORDED
    figure = plots.forest(pd.DataFrame(rows), "Times as fast as the other way", zero=False)
    figure.axes[0].axvline(1, color=MUTED, lw=1, zorder=1)
    return figure


def recordings() -> HTML:
    """Show what was measured: per benchmark one table, a column per recording."""

    def shown(value: Any) -> Any:
        if isinstance(value, float) and 0 < abs(value) < 1e-4:
            digits, power = f"{value:.1e}".split("e")
            return Html(f"{digits} × 10<sup>{int(power)}</sup>")
        value = float(f"{value:.4g}") if isinstance(value, float) else value
        return called(value) if isinstance(value, str) else value

    parts = []
    for name, group in groupby(measured(), key=lambda entry: entry["benchmark"]):
        group = list(group)
        columns = [dict(flat(entry["measured"])) for entry in group]
        lines: dict[Any, list[Any]] = {"Machine": [machine(entry["provenance"]) for entry in group]}
        lines["Command"] = [Long(f"<code>{cell(entry['command'])}</code>") for entry in group]
        commits = [entry["provenance"].get("commit") or "unknown" for entry in group]
        lines["Commit"] = [Html(f"<code>{commit[:9]}</code>") for commit in commits]
        for key in dict.fromkeys(key for column in columns for key in column):
            unit = next((unit for part, unit in UNITS.items() if part in key), "")
            text = ": ".join(LABELS.get(part, part.replace("_", " ")) for part in key.split(": "))
            text = text[:1].upper() + text[1:]
            lines[with_note(text, unit)] = [shown(column.get(key)) for column in columns]
        rows = [
            {"Measured": what} | {f"Recording {i}": value for i, value in enumerate(values, 1)}
            for what, values in lines.items()
        ]
        parts.append(f'<h3 id="recorded-{name}">{cell(name)}</h3>{table(rows, (), f"Benchmark {name}").data}')
    return HTML("".join(parts)) if parts else NOT_RECORDED
