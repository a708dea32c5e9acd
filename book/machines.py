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
from IPython.display import HTML
from markup import Html, Long, Short, cell, folded, table, with_note
from packaging.requirements import Requirement

from fer_lib.evidence import runs
from fer_lib.evidence.provenance import PACKAGES, repository
from fer_lib.show import plots
from fer_lib.show.pages import called

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS = {
    "microseconds": "µs per image",
    "milliseconds": "ms per image",
    "gflop": "10⁹ operations per second",
    "operations": "10⁶",
    "per_cent": "%",
    "per_second": "images or clips per second",
    "seconds": "seconds",
    "mib": "MiB",
    "ratio": "times as fast",
    "times_faster": "times as fast",
    "side_by_side_is_faster_by": "times as fast",
    "accuracy": "share of the test images",
    "loss": "nats",
    "reference": "images per second",
    "ours": "images per second",
}
"""A part of what a benchmark calls a number, and the number's unit; the first that fits counts."""
NOT_RECORDED = HTML('<p class="not-run">Not recorded.</p>')


def recorded() -> list[runs.Run]:
    """Return the runs on real data that are kept with the sources."""
    return [run for run in runs.find() if run.dataset != "synthetic"]


# --- packages ----------------------------------------------------------------------------------


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


def installed(name: str) -> str | None:
    """Return the version of a package in the environment that builds the book; None where it is absent."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def packages() -> HTML:
    """Show Python and packages: as pinned, in this build, and in the recorded runs."""
    lock, shown = pinned(), recorded()

    def used(versions: Iterable[str | None]) -> str:
        return ", ".join(sorted({version for version in versions if version}))

    made = [run.info["provenance"] for run in shown]
    rows = [{"Package": "Python", "Pinned": None, "This build": platform.python_version(),
             "Recorded runs": used(one["python"] for one in made)}]  # fmt: skip
    for name in PACKAGES:
        if name == "fer-lib":
            continue  # its version says less than the commit, which each run names
        ran = used(one["packages"].get(name) for one in made)
        rows.append(
            {"Package": name, "Pinned": lock.get(name), "This build": installed(name), "Recorded runs": ran}
        )
    return table(rows, (), "Packages")


def other_packages() -> HTML:
    """Show every other pinned package, folded up."""
    rows = [
        {"Package": name, "Pinned": version} for name, version in pinned().items() if name not in PACKAGES
    ]
    return HTML(folded(f"All other pinned packages ({len(rows)})", table(rows, (), "Other packages").data))


# --- machines ----------------------------------------------------------------------------------


def machine(made: Mapping[str, Any]) -> Long:
    """Return the hardware of one provenance: the graphics card or the processor first."""
    processor = f"{made['cpu']}, {made['cores']} core{'' if made['cores'] == 1 else 's'}"
    if made.get("gpu"):
        return with_note(f"{made['gpu']}, {made['gpu_memory_gib']} GiB", processor, Long)
    return with_note(processor, made.get("platform"), Long)


# --- benchmarks --------------------------------------------------------------------------------


def benchmarks() -> dict[str, str]:
    """Return what each benchmark measures: its name and the first paragraph of its module."""
    found = {}
    for path in sorted((repository() / "benchmarks").glob("*.py")):
        if path.stem not in ("__init__", "record"):
            text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
            found[path.stem] = " ".join(text.split("\n\n")[0].split())
    return found


def measured(folder: str = "results/benchmarks") -> list[dict[str, Any]]:
    """Return what ``python -m benchmarks.record`` kept, by benchmark and number."""
    paths = (repository() / folder).glob("*-*.json")
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
    kept = [entry["benchmark"] for entry in measured()]
    rows = []
    for name, text in benchmarks().items():
        count = kept.count(name)
        rows.append(
            {
                "Benchmark": with_note(text.replace("``", ""), f"python -m benchmarks.{name}", Long),
                "Recorded": Short(f'<a href="#recorded-{name}">{count}</a>')
                if count
                else Html('<span class="not-run">not recorded</span>'),
            }
        )
    return table(rows, (), "Benchmarks")


def precisions() -> HTML:
    """Show, run by run, what each network was trained in and what bf16 gained or got wrong there."""
    parts = []
    for run in runs.find():
        rows = []
        for entry in run.info.get("precision", []):
            networks = dict.fromkeys(unit.rpartition(" ")[0] for unit in entry["units"])
            rows.append(
                {
                    "Networks": Long(escape(called(", ".join(networks)))),
                    "Trained in": {"fp32": "float32"}.get(entry["name"], entry["name"]),
                    "bf16 over float32": Html(f"{entry['gain']:.2f}×") if entry["gain"] else None,
                    "Why": Long(cell(entry["reason"])),
                }
            )
        if rows:
            made = f"{run_link(run)}, on {machine(run.info['provenance'])}"
            body = table(rows, ["bf16 over float32"], "Precision", made).data
            parts.append(folded(f"{NAMES[run.paper]} on {escape(run_name(run))}", body))
    return HTML("".join(parts)) if parts else NOT_RECORDED


def speedups() -> Figure | HTML:
    """Draw how many times as fast the library's way is, in every recording that compares two ways."""
    rows = []
    for entry in measured():
        for key, value in flat(entry["measured"]):
            of, _, what = key.rpartition(": ")
            if UNITS.get(what) == "times as fast":
                bounds = {"value": value, "low": value, "high": value, "note": f"{value:.3g} times"}
                label = f"{entry['benchmark']}, {called(of)}" if of else entry["benchmark"]
                rows.append({"label": label, "group": entry["benchmark"]} | bounds)
    return (
        plots.forest(pd.DataFrame(rows), "Times as fast as the usual way", zero=False)
        if rows
        else NOT_RECORDED
    )


def recordings() -> HTML:
    """Show what was measured: per benchmark one table, a column per recording."""
    parts = []
    for name, group in groupby(measured(), key=lambda entry: entry["benchmark"]):
        group = list(group)
        columns = [dict(flat(entry["measured"])) for entry in group]
        heads = [f"Recording {i}" for i in range(1, len(group) + 1)]
        made = [machine(entry["provenance"]) for entry in group]
        commands = [Long(f"<code>{cell(entry['command'])}</code>") for entry in group]
        rows = [
            {"Measured": "Machine"} | dict(zip(heads, made, strict=True)),
            {"Measured": "Command"} | dict(zip(heads, commands, strict=True)),
        ]
        for key in dict.fromkeys(key for column in columns for key in column):
            values = [column.get(key) for column in columns]
            values = [float(f"{v:.4g}") if isinstance(v, float) else v for v in values]
            values = [called(v) if isinstance(v, str) else v for v in values]
            unit = next((unit for part, unit in UNITS.items() if part in key), "")
            text = key.replace("_", " ").replace("reference", "usual loop").replace("ours", "this library")
            what = with_note(text, unit)
            rows.append({"Measured": what} | dict(zip(heads, values, strict=True)))
        parts.append(f'<h3 id="recorded-{name}">{cell(name)}</h3>{table(rows, (), f"Benchmark {name}").data}')
    return HTML("".join(parts)) if parts else NOT_RECORDED
