"""The register of open readings, and what flipping one changed where that was run."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
from about_runs import NAMES, dataset_title
from IPython.display import HTML, Markdown
from markup import NOT_RUN, Html, Short, interval, number, table, with_note

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.evidence import runs
from fer_lib.judge import sensitivity
from fer_lib.show import plots
from fer_lib.show.chapter import open_places
from fer_lib.show.pages import called

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROPER = {
    **{"ck": "CK+", "ckplus": "CK+", "fer": "FER2013", "oulu": "Oulu-CASIA", "vgg": "VGG", "vgg19": "VGG19"},
    **{name: name.upper() for name in ("cbam", "clahe", "hog", "loso", "mtcnn", "sift", "spp", "svm")},
    **{"adam": "Adam", "mmi": "MMI", "nimstim": "NimStim", "jaffe": "JAFFE", "shan": "Shan", "cspp": "C-SPP"},
    **{
        "lr": "learning-rate",
        "bn": "batch-norm",
        "08": "of 0.8",
        "fc": "dense layers",
        "ce": "cross-entropy",
    },
}
"""How words of an entry's id are written on a page."""


@cache
def effects(probes: bool = True) -> pd.DataFrame:
    """Return what flipping a reading changed, of the probes or of whole runs."""
    return sensitivity.effects(probes=probes)


def counts() -> HTML:
    """Show how many readings each paper leaves open and how many of them were measured."""
    rows = []
    for paper in claims.PAPERS:
        frame = open_places(paper)
        knobs = frame["knob"].dropna()
        measured = {knob for knob in knobs if _lines(paper, knob)}
        row = {"Paper": Short(NAMES[paper]), "Left open": len(frame), "Parameters of a notebook": len(knobs)}
        rows.append(row | {"Measured": len(measured) or None})
    return table(rows, label="Open readings per paper")


def _name(entry: str) -> str:
    """Return the id of an entry as words."""
    words = " ".join(PROPER.get(word, word) for word in entry.split("_"))
    return words[:1].upper() + words[1:]


def of(paper: str) -> HTML:
    """Show a paper's register as cards: what is open, its readings, ours, what flipping it cost."""
    cards = []
    for entry in claims.ambiguities(paper).to_dict("records"):
        readings = "".join(f"<li>{escape(str(reading))}</li>" for reading in entry["readings"])
        state, knob, cost = "text", "no parameter", ""
        if entry["knob"]:
            knob = f"<code>{entry['knob']} = {escape(repr(entry['default']))}</code>"
            cost = "<br>".join(_lines(paper, entry["knob"]))
            state = "measured" if cost else "parameter"
        cards.append(
            f'<details class="fer-fold reading" id="{paper}-{entry["id"]}" data-state="{state}"><summary>'
            f'{escape(_name(entry["id"]))} <span class="small">{escape(entry["problem"])}</span></summary>'
            f"<ul>{readings}</ul><p>Ours: {escape(str(entry['recommended']).rstrip('.'))} ({knob}).</p>"
            + (f"<p>Flipping it: {cost}</p>" if cost else "")
            + "</details>"
        )
    return HTML("".join(cards))


def filters() -> HTML:
    """Show the filters of the register, which need a script."""
    return HTML(
        '<form id="reading-filters" class="score-filters" hidden><label>State <select name="state">'
        '<option value="">all</option><option value="measured">measured</option>'
        '<option value="parameter">a parameter, not measured</option>'
        '<option value="text">no parameter</option></select></label>'
        '<label>Text <input type="search" name="text" autocomplete="off"></label></form>'
        '<p id="reading-count" role="status"></p>'
        '<link rel="stylesheet" href="../_static/scorecard.css">'
        '<script src="../_static/register.js" defer></script>'
    )


def costly(paper: str) -> HTML:
    """Show the readings of a paper that cost the most where they were flipped; else say that none was."""
    known = open_places(paper)
    frame = effects()
    frame = frame[(frame["paper"] == paper) & (frame["dataset"] != "synthetic")]
    link = f'<a href="ambiguities.html">All {len(known)} open places</a>.'
    if not len(frame):
        knobs = known["knob"].notna().sum()
        return HTML(
            f"<p>The paper leaves {len(known)} places open. {knobs} of them are parameters of the notebook. "
            f"None is measured on real data yet, so which ones matter is not known. {link}</p>"
        )
    said = (
        "<p>One reading was changed at a time, in a short training of a small network (a probe). These "
        "accuracies are for comparison with one another, not with the paper or with the results below.</p>"
    )
    made = "".join(
        f"<p>The probes on {dataset_title(dataset)}: {escape(_condition(paper, dataset, mine))} {link}</p>"
        for dataset, mine in frame.groupby("dataset", sort=False)
    )
    return HTML(said + _effects(_costliest_first(frame).head(5)).data + made)


def _costliest_first(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort readings: what moved accuracy by more than noise, the others, those that never started."""
    frame = frame.sort_values("difference", key=abs, ascending=False)
    return frame.sort_values(["started", "clear"], ascending=False, kind="stable")


def _real(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what was measured on photographs."""
    return frame[[not datasets.CARDS[name].synthetic for name in frame["dataset"]]]


def conditions() -> Markdown:
    """Say on what the probes were made, from their evidence."""
    lines = []
    for dataset, frame in effects().groupby("dataset", sort=False):
        drawn = " (drawn faces: a demonstration)" if datasets.CARDS[dataset].synthetic else ""
        for paper, mine in frame.groupby("paper", sort=False):
            head = f"- {NAMES[paper]} on {dataset_title(dataset)}{drawn}: "
            lines.append(head + _condition(paper, dataset, mine))
    return Markdown("\n".join(lines) or "*Not run.*")


def _condition(paper: str, dataset: str, frame: pd.DataFrame) -> str:
    """Say on what the probes of one paper on one corpus were made."""
    run = next(run for run in runs.find(paper=paper, dataset=dataset, probes=True) if not run.variant)
    plan = run.info["plan"]
    trained = "its first fold" if plan.get("folds") == 1 else "all folds"
    if counts := run.info["counts"].get("train"):
        trained = f"{sum(counts.values()):,} training images read"
    return (
        f"{', '.join(map(called, dict.fromkeys(frame['model'])))} at {plan['width']:.0%} of its width, "
        f"{plan['epochs']} epochs, {trained}, {_range(frame['n'])} test images, "
        f"{_range(frame['seeds'])} seeds ({_range(frame['spread_seeds'])} under our reading)."
    )


def _readings(frame: pd.DataFrame) -> list[str]:
    """Return what a reader calls changed readings; with the paper where two are called alike."""
    said = {True: "yes", False: "no"}
    names = {
        (paper, knob): _name(entry)
        for paper in frame["paper"].unique()
        for knob, entry in claims.ambiguities(paper).dropna(subset="knob")[["knob", "id"]].to_numpy()
    }
    texts = [
        f"{names.get((row.paper, row.knob), row.knob)}: "
        + (said[row.value] if isinstance(row.value, bool) else str(row.value).replace("_", " "))
        for row in frame.itertuples()
    ]
    papers = pd.Series(frame["paper"].to_numpy()).groupby(texts).nunique()
    return [
        f"{text} ({NAMES[paper]})" if papers[text] > 1 else text
        for text, paper in zip(texts, frame["paper"], strict=True)
    ]


def summary() -> Markdown:
    """Say in one sentence what the probes on real data found."""
    frame = _real(effects())
    if not len(frame):
        return Markdown("*No reading has been probed on real data.*")
    clear = frame[frame["clear"].astype(bool)]
    clear = clear.sort_values("difference", key=abs, ascending=False)
    idle = frame[~frame["started"].astype(bool)]

    def listed(part: pd.DataFrame, points: str = "") -> str:
        named = "*{reading}* of {name}" + points
        rows = part.assign(name=part["paper"].map(NAMES), reading=_readings(part)).to_dict("records")
        return ", ".join(named.format(**row) for row in rows)

    text = f"Of {len(frame)} readings measured on real data, {len(clear)} moved accuracy by more than noise"
    if len(clear):
        text += f": {listed(clear, ' ({difference:+.1f} points)')}"
    if len(idle):
        others = f"{len(idle)} other reading{'s' * (len(idle) > 1)}"
        text += f". Under {others} the network never started, so what they cost is not known: "
        text += listed(idle)
    return Markdown(
        f"{text}. All were measured in probes: small networks, trained briefly on a part of the data. "
        "With intervals of 95 %, one in twenty leaves zero out by chance."
    )


def forest() -> Figure | HTML:
    """Draw the effect of every reading that was probed on photographs."""
    frame = _real(effects())
    if not len(frame):
        return NOT_RUN
    frame = frame.sort_values("difference", ascending=False, kind="stable")
    named = zip(_readings(frame), frame["dataset"], strict=True)
    labels = [text + ("" if on == "fer2013" else f" ({dataset_title(on)})") for text, on in named]
    frame = frame.drop(columns="value").rename(columns={"difference": "value"})
    frame = frame.assign(label=labels, group=frame["paper"].map(NAMES))
    frame["note"] = ["" if started else "never started" for started in frame["started"]]
    return plots.forest(frame, "Other reading minus ours (points of accuracy)")


def measured() -> HTML:
    """Show every measured reading, one table for each paper, network and corpus."""
    parts = effects().groupby(["paper", "model", "dataset"], sort=False)
    tables = [_effects(_costliest_first(part)).data for _, part in parts]
    return HTML("".join(tables)) if tables else NOT_RUN


def _effects(frame: pd.DataFrame) -> HTML:
    """Show readings of one paper: both accuracies, the paired difference, and what the seed does."""
    first = frame.iloc[0]
    model, dataset = called(first["model"]), dataset_title(first["dataset"])
    where = f"{NAMES[first['paper']]}: {model}, {dataset}, in per cent"
    page = f"ambiguities.html#{first['paper']}"
    places = {
        knob: Html(f'<a href="{page}-{entry}">{escape(_name(entry))}</a>')
        for knob, entry in open_places(first["paper"]).dropna(subset="knob")[["knob", "id"]].to_numpy()
    }
    rows = []
    for row in frame.to_dict("records"):
        knob = row["knob"]
        name = with_note(places.get(knob, knob), f"{knob}: {row['default']} → {row['value']}")
        figures = {"Ours": number(row["ours"], 1), "Other": number(row["other"], 1)}
        figures["Difference [95 %]"] = with_note(_points(row), _noise(row))
        rows.append({"Reading": name} | figures | {"By the seed alone": number(row["spread"], 1)})
    return table(rows, label="Readings measured", caption=escape(where))


def _lines(paper: str, knob: str) -> list[str]:
    """Return a line per measurement of one reading: probes first, then whole runs."""
    lines = []
    for probes in (True, False):
        frame = effects(probes)
        for row in frame[(frame["paper"] == paper) & (frame["knob"] == knob)].to_dict("records"):
            where = escape(f"{called(row['model'])}; {dataset_title(row['dataset'])}, {row['budget']}")
            lines.append(f"{escape(str(row['value']))}: {_points(row)} points, {_noise(row)} ({where})")
    return lines


def _points(row: dict[str, Any]) -> Html:
    """Return a difference with its interval."""
    return interval(row["difference"], row["low"], row["high"], 1, "+")


def _noise(row: dict[str, Any]) -> str:
    """Return what a difference is against noise, in words."""
    if not row["started"]:
        return "never started: one answer to nearly all images"
    if row["clear"]:
        return "more than noise"
    return "within noise" if row["spread"] == row["spread"] else "noise not known (one seed)"


def _range(values: pd.Series) -> str:
    """Return the values that occur, as a number or from to."""
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
