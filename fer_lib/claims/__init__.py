"""What the five papers say, as data: claims, protocols, ambiguities and inconsistencies.

One YAML file per paper lies beside this module. Figures are as printed; ``tolerance`` says how near a
re-run must come and was fixed before any run. Nothing here computes a verdict: that is
:mod:`fer_lib.judge.report`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from fer_lib.errors import one_of
from fer_lib.expressions import canonical

if TYPE_CHECKING:
    import pandas as pd

PAPERS: tuple[str, ...] = ("cnn_sift", "multimodal", "cspp", "cnn3d", "lkrnet")

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


@dataclass(frozen=True)
class Paper:
    """One paper's file, entry by entry; every entry of a tuple is a plain dictionary.

    Attributes
    ----------
    key, title, authors, year, venue, doi
        Which paper; what the paper does not print is None.
    protocols, claims, ambiguities, inconsistencies, hyperparameters, confusion
        Entries with an ``id`` each, in the paper's order.
    checks_passed : tuple of str
        Arithmetic of the paper that was checked and agrees.
    tolerance : dict
        ``accuracy_points`` and ``difference_points`` in percentage points, and ``why``.
    """

    key: str
    title: str
    authors: tuple[str, ...]
    protocols: tuple[dict[str, Any], ...]
    claims: tuple[dict[str, Any], ...]
    ambiguities: tuple[dict[str, Any], ...]
    inconsistencies: tuple[dict[str, Any], ...]
    hyperparameters: tuple[dict[str, Any], ...]
    checks_passed: tuple[str, ...]
    tolerance: dict[str, Any]
    confusion: tuple[dict[str, Any], ...] = ()
    year: int | None = None
    venue: str | None = None
    doi: str | None = None

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
    lists = ("protocols", "claims", "ambiguities", "inconsistencies", "hyperparameters", "checks_passed")
    return Paper(
        key=about["key"],
        title=about["title"],
        authors=tuple(about["authors"]),
        year=about["year"],
        venue=about["venue"],
        doi=about["doi_or_id"],
        tolerance=content["tolerance"],
        confusion=tuple(content["confusion"]),
        **{name: tuple(content[name]) for name in lists},
    )


def frame(paper: str | None = None) -> pd.DataFrame:
    """Return one row per claim of one paper, or of all five.

    Returns
    -------
    pandas.DataFrame
        With :data:`COLUMNS`. ``value`` is as printed, in ``unit`` (mostly percent); ``n`` is the
        number of test samples behind it where the protocol gives it, for a class the number of that
        class; ``corpus`` and ``expression`` are canonical; what a claim does not have is None.
    """
    import pandas as pd

    rows = [_row(load(key), claim) for key in ([paper] if paper else PAPERS) for claim in load(key).claims]
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    return table.astype({"value": float, "n": "Int64", "fold": "Int64", **dict.fromkeys(FLAGS, bool)})


def ambiguities(paper: str) -> pd.DataFrame:
    """Return one row per place where an implementer of ``paper`` must guess.

    Returns
    -------
    pandas.DataFrame
        Columns id, quote, problem, readings (list of str), recommended, knob (the notebook parameter
        that flips the reading), default (its value under the recommended reading, None where no
        notebook has it yet) and values (the allowed ones, None where any number or boolean is).
    """
    import pandas as pd

    columns = ["id", "quote", "problem", "readings", "recommended", "knob", "default", "values"]
    rows = [{name: entry.get(name) for name in columns} for entry in load(paper).ambiguities]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _row(paper: Paper, claim: dict[str, Any]) -> dict[str, Any]:
    protocol = paper.protocol(claim["protocol"])
    expression = canonical(claim["class"]) if claim.get("class") else None
    return {
        **{name: claim.get(name) for name in COLUMNS},
        "paper": paper.key,
        "corpus": CORPORA.get(claim["dataset"]),
        "expression": expression,
        "n": None if claim.get("fold") else _test_samples(protocol, expression),
        "approx": bool(claim.get("approx")),
        "ran_by_authors": bool(claim["ours"] or claim.get("ran_by_authors")),
        "built": claim.get("built", True),
    }


def _test_samples(protocol: dict[str, Any], expression: str | None) -> int | None:
    """Count the test samples of a protocol, or of one class of it, where the paper lets one know."""
    samples = protocol["samples"]
    total = samples.get("test") if isinstance(samples, dict) else samples
    if total is None or expression is None:
        return total
    counts = {canonical(name): n for name, n in (protocol.get("class_counts") or {}).items()}
    # Some tables count all parts of a corpus, not the test part: those say nothing about a class.
    return counts.get(expression) if sum(counts.values()) == total else None
