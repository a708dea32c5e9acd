"""What the five papers say, as data: claims, protocols, ambiguities and inconsistencies.

One YAML file per paper lies beside this module. Its ``claims`` are numbers, as printed; its ``order`` holds
what is claimed without a number ("the average beats its members"), and what the paper's own numbers decide.
``tolerance`` says how near a re-run must come and was fixed before any run. Nothing here computes a verdict:
that is :mod:`fer_lib.judge.verdicts`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from fer_lib.errors import one_of
from fer_lib.expressions import canonical

if TYPE_CHECKING:
    import pandas as pd


def _papers() -> tuple[str, ...]:
    """Return the keys of the claims files, in the order of their chapters; only their heads are read."""
    entries = {entry.name: entry for entry in files(__name__).iterdir() if entry.name.endswith(".yaml")}
    heads = {name.removesuffix(".yaml"): entry.read_text("utf-8")[:2000] for name, entry in entries.items()}
    return tuple(sorted(heads, key=lambda key: int(re.search(r"(?m)^  chapter: (\d+)$", heads[key])[1])))


PAPERS: tuple[str, ...] = _papers()
"""The papers, by the key of their claims file: the only list of them."""

CORPORA: Mapping[str, str] = {
    "FER2013": "fer2013",
    "CK+": "ckplus",
    "JAFFE": "jaffe",
    "MMI": "mmi",
    "NimStim": "nimstim",
    "Oulu-CASIA": "oulu_casia",
}
"""Dataset as the papers print it -> the key its reader has; mixtures and other corpora are absent."""

COLUMNS: tuple[str, ...] = (
    *("id", "paper", "table", "model", "ours", "role", "corpus", "dataset", "protocol", "metric"),
    *("expression", "value", "unit", "n", "ref", "note", "approx", "bound"),
    # What only some claims have: the fold, image and condition it is for, the corpus trained on, whether its
    # network is built here, and the models whose mean is subtracted.
    *("fold", "image", "condition", "train_dataset", "ran_by_authors", "built", "against"),
)


@dataclass(frozen=True)
class Claim:
    """One thing that a paper says: a printed figure, or an order without one (``metric`` is ``order``).

    ``place`` is the table, figure or section; ``role`` is ``method``, ``ablation``, ``baseline``, ``quoted``
    (another work's number) or ``data`` (a count). ``ours``, ``ran_by_authors`` and ``built`` are of the
    network: the paper's own, run by its authors, built here. ``dataset`` and ``train_dataset`` (trained on
    where that is another) are as printed, ``corpus`` is the key of the reader or None, ``expression`` is
    canonical. ``protocol`` is an id of the paper's protocols, ``model`` the model or ``A minus B``,
    ``against`` the models whose mean is subtracted.

    ``value`` is the printed figure in ``unit``, None where none is, and ``tolerance`` how near ours must come
    in points. ``n`` counts the test samples behind it where the protocol gives them, for a class those of the
    class. ``fold``, ``image``, ``condition`` and ``part`` (of FER2013) narrow what it is of. ``same_as`` is
    the claim that says the same and is counted instead.

    A claim of order ``says`` it in one sentence; ``decided_by`` is ``running``, ``arithmetic`` or ``nothing``
    (then ``why``), ``about`` the number that it is about, ``test`` the keys of its test
    (:mod:`fer_lib.judge.order`).
    """

    id: str
    paper: str
    place: str
    role: str
    dataset: str
    protocol: str
    metric: str
    tolerance: float
    model: str = ""
    value: float | None = None
    unit: str = ""
    ours: bool = True
    ran_by_authors: bool = True
    built: bool = True
    corpus: str | None = None
    train_dataset: str | None = None
    expression: str | None = None
    n: int | None = None
    ref: str | None = None
    note: str | None = None
    approx: bool = False
    bound: str | None = None
    fold: int | None = None
    image: str | None = None
    condition: str | None = None
    against: tuple[str, ...] = ()
    quote: str | None = None
    same_as: str | None = None
    part: str | None = None
    says: str | None = None
    decided_by: str | None = None
    why: str | None = None
    about: str | None = None
    test: Mapping[str, Any] = field(default_factory=dict)

    @property
    def home(self) -> str | None:
        """The corpus whose runs can answer it: across corpora, the one that was trained on."""
        return CORPORA.get(self.train_dataset or "", self.corpus)


@dataclass(frozen=True)
class Paper:
    """One paper's file; protocols, ambiguities and the like are plain dictionaries with an ``id``.

    ``short_name`` is what pages and figures call the paper, ``colour`` what they draw it in (``#rrggbb``).
    ``claims`` are printed numbers, ``order`` claims of order, in the paper's order. ``checks_passed`` is
    arithmetic of the paper that agrees. ``tolerance`` has ``accuracy_points`` and ``difference_points`` in
    percentage points, and ``why``. ``needs`` is what its protocols ask for beyond labelled images
    (``subjects``, ``sequences``); ``adds`` maps each part that the method adds to the network with it and the
    one without, as evidence names them. What the paper does not print is None.
    """

    key: str
    short_name: str
    colour: str
    title: str
    authors: tuple[str, ...]
    protocols: tuple[dict[str, Any], ...]
    claims: tuple[Claim, ...]
    order: tuple[Claim, ...]
    ambiguities: tuple[dict[str, Any], ...]
    inconsistencies: tuple[dict[str, Any], ...]
    hyperparameters: tuple[dict[str, Any], ...]
    checks_passed: tuple[str, ...]
    tolerance: dict[str, Any]
    confusion: tuple[dict[str, Any], ...] = ()
    year: int | None = None
    venue: str | None = None
    doi: str | None = None
    needs: tuple[str, ...] = ()
    adds: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def claim(self, name: str) -> Claim:
        """Return the claim called ``name``; FerError if the paper has none of that name."""
        known = {claim.id: claim for claim in (*self.claims, *self.order)}
        return known[one_of(name, known, f"claim of {self.key}")]

    def protocol(self, name: str) -> dict[str, Any]:
        """Return the protocol called ``name``; FerError if the paper has none of that name."""
        known = {entry["id"]: entry for entry in self.protocols}
        return known[one_of(name, known, f"protocol of {self.key}")]


@cache
def load(paper: str) -> Paper:
    """Read what one of :data:`PAPERS` says; another name is a FerError."""
    one_of(paper, PAPERS, "paper")
    text = (files(__name__) / f"{paper}.yaml").read_text(encoding="utf-8")
    # libyaml reads the five files ten times as fast as Python does, where it is there.
    content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    about = content["paper"]
    lists = ("protocols", "ambiguities", "inconsistencies", "hyperparameters", "checks_passed", "confusion")
    return Paper(
        **{name: about[name] for name in ("key", "short_name", "colour", "title", "year", "venue")},
        authors=tuple(about["authors"]),
        doi=about["doi_or_id"],
        needs=tuple(about.get("needs", ())),
        adds={part: tuple(pair) for part, pair in about.get("adds", {}).items()},
        tolerance=content["tolerance"],
        claims=tuple(_claim(content, entry) for entry in content["claims"]),
        order=tuple(_claim(content, entry, ordered=True) for entry in content.get("order") or ()),
        **{name: tuple(content[name]) for name in lists},
    )


def _claim(content: dict[str, Any], entry: dict[str, Any], ordered: bool = False) -> Claim:
    """Return the claim of one entry of a file; what a claim of order has no field for is its test."""
    protocol = next(known for known in content["protocols"] if known["id"] == entry["protocol"])
    shown = canonical(entry["class"]) if entry.get("class") else None
    renamed = ("table", "class", "place", "significance_printed")
    given = {name: value for name, value in entry.items() if name not in renamed}
    if ordered:
        known = {*Claim.__dataclass_fields__, *renamed} - {"metric", "class"}
        test = {name: value for name, value in entry.items() if name not in known}
        given = {name: value for name, value in given.items() if name in known}
        given |= {"metric": "order", "test": test}
    kind = "difference" if "difference" in given["metric"] else "accuracy"
    ours = entry.get("ours", True)
    return Claim(
        **given
        | {
            "paper": content["paper"]["key"],
            "place": entry.get("table") or entry["place"],
            "ours": ours,
            "ran_by_authors": bool(ours or entry.get("ran_by_authors")),
            "corpus": CORPORA.get(entry["dataset"]),
            "expression": shown,
            "n": None if entry.get("fold") else _test_samples(protocol, shown),
            "against": tuple(entry.get("against") or ()),
            "tolerance": float(content["tolerance"][f"{kind}_points"]),
        }
    )


def _test_samples(protocol: dict[str, Any], expression: str | None) -> int | None:
    """Count the test samples of a protocol, or of one class of it, where the paper lets one know."""
    samples = protocol["samples"]
    total = samples.get("test") if isinstance(samples, dict) else samples
    if total is None or expression is None:
        return total
    counts = {canonical(name): n for name, n in (protocol.get("class_counts") or {}).items()}
    # Some tables count all parts of a corpus, not the test part: those say nothing about a class.
    return counts.get(expression) if sum(counts.values()) == total else None


def frame(paper: str | None = None) -> pd.DataFrame:
    """Return one row per printed number of one paper, or of all five, with :data:`COLUMNS`.

    They are fields of :class:`Claim`, ``table`` being its ``place``; what a claim does not have is None.
    """
    import pandas as pd

    made = [claim for key in ([paper] if paper else PAPERS) for claim in load(key).claims]
    rows = [vars(claim) | {"table": claim.place, "against": list(claim.against) or None} for claim in made]
    flags = dict.fromkeys(("ours", "approx", "ran_by_authors", "built"), bool)
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    return table.astype({"value": float, "n": "Int64", "fold": "Int64", **flags})


def ambiguities(paper: str) -> pd.DataFrame:
    """Return one row per place where an implementer of ``paper`` must guess.

    Columns are id, quote, problem, readings (list of str), recommended, knob (the notebook parameter that
    flips the reading, None where it has none), default (its value under the recommended reading) and values
    (the allowed ones, None where any number or boolean is).
    """
    import pandas as pd

    columns = ["id", "quote", "problem", "readings", "recommended", "knob", "default", "values"]
    rows = [{name: entry.get(name) for name in columns} for entry in load(paper).ambiguities]
    return pd.DataFrame(rows, columns=columns, dtype=object)
