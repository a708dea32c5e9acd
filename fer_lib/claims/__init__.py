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

from fer_lib.errors import FerError, one_of
from fer_lib.expressions import canonical

if TYPE_CHECKING:
    import pandas as pd


def _papers() -> tuple[str, ...]:
    """Return the keys of the claims files, in the order of their chapters; only their heads are read."""
    chapters = {}
    for entry in files(__name__).iterdir():
        if entry.name.endswith(".yaml"):
            head = entry.read_text(encoding="utf-8")[:2000]
            number = re.search(r"^  chapter: (\d+)$", head, re.MULTILINE)
            chapters[entry.name.removesuffix(".yaml")] = int(number[1]) if number else len(chapters) + 100
    return tuple(sorted(chapters, key=lambda key: (chapters[key], key)))


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


FLAGS = ("ours", "approx", "ran_by_authors", "built")
TESTS = (
    *("better", "worse", "metric", "class", "by", "contrast", "contrasts", "best_class", "worst_class"),
    *("equal", "within", "measured", "where", "formula", "at_least", "at_most", "above", "below", "equals"),
    *("p_value", "most_confused"),
)
"""What may say how a claim of order is tested; see :mod:`fer_lib.judge.order`."""
DECIDED = ("running", "arithmetic", "nothing")


@dataclass(frozen=True)
class Claim:
    """One thing that a paper says: a printed figure, or an order without one (``metric`` is ``order``).

    Attributes
    ----------
    id, paper, place
        Its name, the key of the paper and where that says it (table, figure or section).
    role : str
        ``method``, ``ablation``, ``baseline``, ``quoted`` (another work's number) or ``data`` (a count).
    ours, ran_by_authors, built : bool
        Whether the network is the paper's own, whether its authors ran it, whether it is built here.
    dataset, corpus, train_dataset
        As printed; the key of its reader or None; the corpus trained on where that is another.
    protocol, metric, model
        Ids of the paper's protocol, of what is measured, and the model or ``A minus B``.
    expression : str or None
        The canonical expression that a number is of.
    value, unit, tolerance
        The printed figure, None where none is; its unit; how near ours must come, in points.
    n : int or None
        Test samples behind the number where the protocol gives them, for a class those of the class.
    fold, image, condition
        Of a number on one fold, or on one image under a disturbance.
    against : tuple of str
        The models whose mean is subtracted.
    same_as : str or None
        The claim that says the same, and is counted instead of this one.
    part : str or None
        Which part of FER2013 a count is of.
    says, decided_by, why, about, test
        Of a claim of order: the claim in one sentence, what decides it, why nothing does, the number that
        it is about, and the keys of its test.
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

    Attributes
    ----------
    key, title, authors, year, venue, doi
        Which paper; what the paper does not print is None.
    short_name, colour
        What pages and figures call the paper, and the colour they draw it in (``#rrggbb``).
    claims, order : tuple of Claim
        Printed numbers, and claims of order, in the paper's order.
    protocols, ambiguities, inconsistencies, hyperparameters, confusion
        Further entries of the file.
    checks_passed : tuple of str
        Arithmetic of the paper that was checked and agrees.
    tolerance : dict
        ``accuracy_points`` and ``difference_points`` in percentage points, and ``why``.
    needs : tuple of str
        What its protocols ask for beyond labelled images: ``subjects``, ``sequences``.
    adds : dict
        Each part that the method adds -> the network with it and the one without, as evidence names them.
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
    """Read what one of :data:`PAPERS` says.

    Raises
    ------
    FerError
        If ``paper`` is not one of :data:`PAPERS`.
    """
    one_of(paper, PAPERS, "paper")
    text = (files(__name__) / f"{paper}.yaml").read_text(encoding="utf-8")
    # libyaml reads the five files ten times as fast as Python does, where it is there.
    content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    about = content["paper"]
    protocols = {entry["id"]: entry for entry in content["protocols"]}
    made = [_claim(paper, entry, protocols, content["tolerance"]) for entry in content["claims"]]
    for entry in content.get("order") or ():
        test = {name: entry[name] for name in TESTS if name in entry}
        rest = {name: value for name, value in entry.items() if name not in test} | {"metric": "order"}
        made.append(_claim(paper, rest, protocols, content["tolerance"], test))
    _check(paper, made)
    lists = ("protocols", "ambiguities", "inconsistencies", "hyperparameters", "checks_passed")
    return Paper(
        key=about["key"],
        short_name=about["short_name"],
        colour=about["colour"],
        title=about["title"],
        authors=tuple(about["authors"]),
        year=about["year"],
        venue=about["venue"],
        doi=about["doi_or_id"],
        needs=tuple(about.get("needs", ())),
        adds={part: tuple(pair) for part, pair in about.get("adds", {}).items()},
        tolerance=content["tolerance"],
        confusion=tuple(content["confusion"]),
        claims=tuple(made[: len(content["claims"])]),
        order=tuple(made[len(content["claims"]) :]),
        **{name: tuple(content[name]) for name in lists},
    )


def _claim(
    paper: str,
    entry: dict[str, Any],
    protocols: dict[str, Any],
    tolerance: dict[str, Any],
    test: dict[str, Any] | None = None,
) -> Claim:
    given = {name: value for name, value in entry.items() if name not in ("table", "class", "place")}
    unknown = sorted(set(given) - set(Claim.__dataclass_fields__) - {"significance_printed"})
    if unknown or entry["protocol"] not in protocols:
        what = f"unknown keys {', '.join(unknown)}" if unknown else f"no protocol {entry['protocol']}"
        raise FerError(f"Claim {entry['id']} in {paper}.yaml has {what}; correct the file.")
    given.pop("significance_printed", None)
    shown = entry.get("class") or (test or {}).get("class")
    expression = canonical(shown) if shown else None
    kind = "difference" if "difference" in entry["metric"] else "accuracy"
    ours = entry.get("ours", True)
    return Claim(
        **given
        | {
            "paper": paper,
            "place": entry.get("table") or entry["place"],
            "ours": ours,
            "ran_by_authors": bool(ours or entry.get("ran_by_authors")),
            "corpus": CORPORA.get(entry["dataset"]),
            "expression": expression,
            "n": None if entry.get("fold") else _test_samples(protocols[entry["protocol"]], expression),
            "against": tuple(entry.get("against") or ()),
            "tolerance": float(tolerance[f"{kind}_points"]),
            "test": test or {},
        }
    )


def _check(paper: str, made: list[Claim]) -> None:
    """Refuse links that lead nowhere and claims of order that nothing could decide."""
    known = {claim.id: claim for claim in made}
    for claim in made:
        original = known.get(claim.same_as or claim.about or claim.id)
        if original is None or (claim.same_as and original.same_as):
            raise FerError(
                f"{claim.id} in {paper}.yaml points at no claim, or at one that is a repeat itself."
            )
        if claim.same_as and (original.metric, original.dataset) != (claim.metric, claim.dataset):
            raise FerError(
                f"{claim.id} in {paper}.yaml is no repeat of {original.id}: it measures other things."
            )
        if claim.metric == "order":
            one_of(claim.decided_by or "", DECIDED, f"decided_by of {claim.id}")
            if bool(claim.test) == (claim.decided_by == "nothing") or (not claim.test and not claim.why):
                raise FerError(
                    f"{claim.id} in {paper}.yaml needs one test, or else decided_by: nothing and why."
                )


def frame(paper: str | None = None) -> pd.DataFrame:
    """Return one row per printed number of one paper, or of all five.

    Returns
    -------
    pandas.DataFrame
        With :data:`COLUMNS`. ``value`` is as printed, in ``unit`` (mostly percent); ``n`` is the
        number of test samples behind it where the protocol gives it, for a class the number of that
        class; ``corpus`` and ``expression`` are canonical; what a claim does not have is None.
    """
    import pandas as pd

    made = [claim for key in ([paper] if paper else PAPERS) for claim in load(key).claims]
    names = {"table": "place"}
    rows = [{name: getattr(claim, names.get(name, name)) for name in COLUMNS} for claim in made]
    for row in rows:
        row["against"] = list(row["against"]) or None
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    return table.astype({"value": float, "n": "Int64", "fold": "Int64", **dict.fromkeys(FLAGS, bool)})


def ambiguities(paper: str) -> pd.DataFrame:
    """Return one row per place where an implementer of ``paper`` must guess.

    Returns
    -------
    pandas.DataFrame
        Columns id, quote, problem, readings (list of str), recommended, knob (the notebook parameter
        that flips the reading, None where it has none), default (its value under the recommended
        reading) and values (the allowed ones, None where any number or boolean is).
    """
    import pandas as pd

    columns = ["id", "quote", "problem", "readings", "recommended", "knob", "default", "values"]
    rows = [{name: entry.get(name) for name in columns} for entry in load(paper).ambiguities]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _test_samples(protocol: dict[str, Any], expression: str | None) -> int | None:
    """Count the test samples of a protocol, or of one class of it, where the paper lets one know."""
    samples = protocol["samples"]
    total = samples.get("test") if isinstance(samples, dict) else samples
    if total is None or expression is None:
        return total
    counts = {canonical(name): n for name, n in (protocol.get("class_counts") or {}).items()}
    # Some tables count all parts of a corpus, not the test part: those say nothing about a class.
    return counts.get(expression) if sum(counts.values()) == total else None
