"""What the pages on datasets show: overview, cards, runs that read a corpus, FER2013's twins and faces."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

from about_runs import NAMES, apart, dataset_title, pages, run_link
from complete import complete
from IPython.display import HTML
from markup import NOT_RUN, Html, Long, Short, facts, table, with_note

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.evidence import runs
from fer_lib.evidence.provenance import repository


def all_datasets() -> HTML:
    """Show one row per corpus: what a complete copy holds, who may have it, and who uses it."""
    printed, rows = {key: name for name, key in claims.CORPORA.items()}, []
    for name, entry in datasets.CARDS.items():
        text = escape(printed.get(name) or dataset_title(name))  # of corpora that no paper uses, the title
        link = page_link(f"datasets_{name}", text)
        has = complete(name)
        known = {"images": has.images, "sequences": has.sequences, "subjects": has.subjects}
        counts = [f"{n:,} {what}" for what, n in known.items() if n is not None]
        counts.append(f"{len(has.names)} classes")
        asked = entry.licence.split(";")[0].rpartition(": ")[2]
        row = {"Dataset": with_note(Html(link), Html(f"<code>{name}</code>"))}
        row["A complete copy"] = with_note(", ".join(counts), has.about, Long)
        row["Terms, and how to obtain it"] = with_note(asked, entry.obtain, Long)
        rows.append(row | {"Used by": using(name)})
    return table(rows, (), "Datasets")


def page_link(page: str, text: str) -> str:
    """Return a link to a page, plain text where the book does not have it."""
    return f'<a href="{page}.html">{text}</a>' if f"book/{page}" in pages() else text


def using(name: str) -> Html:
    """Return the papers that use a corpus, linked to their chapters where the book has them."""
    frame = claims.frame()
    papers = dict.fromkeys(frame.loc[frame["corpus"] == name, "paper"])
    return Html(", ".join(page_link(key, escape(NAMES[key])) for key in papers))


def card(name: str) -> HTML:
    """Show what a user must know of a corpus before touching it."""
    entry = datasets.CARDS[name]
    return facts(
        {
            "Owner": entry.owner,
            "Licence": entry.licence,
            "How to obtain it": entry.obtain,
            "Used by": using(name) or "no paper",
            "Images in this book": "a few, as illustrations" if entry.may_show else "none",
            "In short": Html("".join(f"<p>{escape(note)}</p>" for note in entry.notes)),
        }
    )


def layout(name: str) -> HTML:
    """Show the files and folders that a reader looks for."""
    return HTML(f'<pre class="fer-tree" tabindex="0">{escape(datasets.CARDS[name].tree)}</pre>')


def recorded(dataset: str) -> runs.Run | None:
    """Return the run that audited most of a corpus, at the highest budget; None where there is none."""
    audited = [run for run in runs.find(dataset=dataset) if run.info.get("audit")]
    ranks = [(run.info["audit"]["images"], runs.BUDGETS.index(run.budget)) for run in audited]
    return audited[ranks.index(max(ranks))] if audited else None


def source(run: runs.Run | None) -> HTML:
    """Say which run the figures of a page are from."""
    if run is None:
        return NOT_RUN
    print_ = str(run.info.get("fingerprint"))[:16]
    return HTML(
        f"<p>Counted in the run {run_link(run)}, on the data with fingerprint <code>{print_}</code>. "
        "What is counted here does not depend on how long that run trained.</p>"
    )


def certificates(shown: Iterable[runs.Run]) -> HTML:
    """Show what the splits of runs keep, one row per run and split; drawn faces apart."""
    return apart(shown, _certificates)


def _certificates(shown: list[runs.Run]) -> HTML:
    rows = []
    for run in shown:
        for name, found in run.info.get("certificates", {}).items():
            row = {"Split": with_note(Html(f"{name}, {NAMES[run.paper]}"), run_link(run), Short)}
            row |= {"Folds": found["n_folds"], "Tested": found["tested"]}
            row["Each sample once"] = found["every_sample_tested_once"]
            row["Subjects on both sides"] = found["subjects_shared"]
            row["Twins crossing"] = found["twins_crossing"]
            rows.append(row | {"Index lists": Html(f"<code>{found['index_sha256'][:10]}</code>")})
    return table(rows, ["Folds", "Tested", "Subjects on both sides", "Twins crossing"], "Certificates")


# --- FER2013 alone -----------------------------------------------------------------------------

NOT_MEASURED = HTML('<p class="not-run">Not measured yet.</p>')
METHODS = {
    "haar": ("Haar cascade", f"OpenCV; what {NAMES['cspp']} uses"),
    "dlib": ("dlib", f"HOG and a linear classifier; what {NAMES['multimodal']} uses"),
    "mtcnn": ("MTCNN", f"three small networks; what {NAMES['lkrnet']} uses"),
}
"""Detector -> its name, and what it is and which paper uses it."""


def audit_table(run: runs.Run | None) -> HTML:
    """Show what a recorded run counted of black and identical images."""
    if run is None:
        return NOT_MEASURED
    found = run.info["audit"]

    def per_split(numbers: dict[str, int]) -> str:
        parts = {name.replace("_", " "): n for name, n in numbers.items() if name != "total" and n}
        return ", ".join(f"{n:,} in {name}" for name, n in parts.items())

    twins, other = found["twins_in_training"], found["twins_with_other_label"]
    lines = (
        ("Images", found["images"], ""),
        ("Distinct images", found["distinct"], ""),
        ("Redundant copies", found["redundant"], f"in {found['groups']:,} groups of identical images"),
        ("Groups with several labels", found["conflicting_groups"], ""),
        ("Groups across the official splits", found["cross_split_groups"], ""),
        ("Test images with a twin in training", sum(twins.values()), per_split(twins)),
        ("… whose twin has another label", sum(other.values()), per_split(other)),
        ("Black images", found["black"]["total"], per_split(found["black"])),
    )
    rows = [{"What": with_note(what, detail, Long), "How many": n} for what, n, detail in lines]
    return table(rows, ["How many"], "Identical and black images")


def measured_faces() -> dict[str, Any] | None:
    """Return what was measured of face detection on FER2013; None where nothing was."""
    path = repository() / "results/data/fer2013/faces.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def detection_table() -> HTML:
    """Show how many faces each detector finds, and how long it takes."""
    if (found := measured_faces()) is None:
        return HTML(
            '<p class="not-run">Not recorded. They would be compared by '
            "<code>python -m benchmarks.faces --write</code>.</p>"
        )
    rows = []
    for method, one in found["methods"].items():
        threads = f"on {one['threads']} threads" if one.get("threads") else ""
        row = {"Detector": with_note(*METHODS.get(method, (method, "")), Long)}
        row |= {"Faces found": one["detected"], "Of all (%)": f"{100 * one['rate']:.1f}"}
        cost = with_note(f"{one['milliseconds_per_image']:.2f}", threads, Short)
        rows.append(row | {"Milliseconds per image": cost})
    return table(rows, label="Face detection")


def measured_on() -> HTML:
    """Say on what face detection was measured."""
    if (found := measured_faces()) is None:
        return HTML("")
    made, corpus = found.get("provenance", {}), found.get("corpus", {})
    on = escape(str(made.get("cpu") or made.get("platform") or "an unnamed processor"))
    print_ = str(corpus.get("fingerprint") or "")[:16]
    data = f", on the data with fingerprint <code>{escape(print_)}</code>" if print_ else ""
    return HTML(f"<p>Measured on {on}{data}.</p>")
