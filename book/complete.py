"""What a complete copy of each corpus has, from the constants that its reader checks a copy against."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import pandas as pd
from IPython.display import HTML
from markup import Html, facts, table, with_note

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.data.datasets import ckplus, cmu_faces, fer2013, jaffe, nimstim, oulu_casia, synthetic
from fer_lib.expressions import EXPRESSIONS, canonical


@dataclass(frozen=True)
class Complete:
    """The counts of a complete copy; what its owners do not fix, or the reader does not assert, is None.

    ``counts`` holds ``unit`` per class (rows) and split (columns, or one); ``about`` says which of a
    corpus's forms or parts is counted; ``classes`` is given where there are no ``counts`` of them;
    ``more`` are further lines for its page: what, and its value with a smaller second line.
    """

    counts: pd.DataFrame | None = None
    unit: str = "images"
    images: int | None = None
    sequences: int | None = None
    subjects: int | None = None
    classes: tuple[str, ...] = ()
    about: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, in canonical order."""
        found = self.classes if self.counts is None else self.counts.index
        return tuple(sorted(found, key=EXPRESSIONS.index))


def complete(name: str) -> Complete:
    """Return what a complete copy of a corpus has: what its reader asserts, else what its card states."""
    match name:
        case "synthetic":
            given = {key: p.default for key, p in inspect.signature(synthetic.generate).parameters.items()}
            people, about = given["n_subjects"], "as many as asked for; these by default"
            counts = dict.fromkeys(EXPRESSIONS, people * given["per_expression"])
            return Complete(_per_class(counts), images=sum(counts.values()), subjects=people, about=about)
        case "fer2013":
            frame, more = pd.DataFrame(fer2013.OFFICIAL, index=fer2013.CLASSES), {"Subjects": "not recorded"}
            return Complete(frame, images=int(frame.to_numpy().sum()), more=more)
        case "ckplus":
            tree, crops = ckplus.OFFICIAL["original"], ckplus.OFFICIAL["ck48"]
            last = f"images: the last {crops['images'] // tree['labelled']} frames of each labelled sequence"
            more = {"As CK+48": with_note(crops["images"], last)}
            about = f"{tree['labelled']} sequences of {tree['labelled_subjects']} subjects are labelled"
            known = {"sequences": tree["sequences"], "subjects": tree["subjects"], "about": about}
            labelled = "labelled sequences"
            return Complete(_per_class(ckplus.PER_CLASS, labelled), labelled, **known, more=more)
        case "jaffe":
            people = [n for key, n in jaffe.OFFICIAL.items() if key.isupper()]
            known = {"images": jaffe.OFFICIAL["images"], "subjects": len(people)}
            each = {"Images per subject": f"{min(people)} to {max(people)}"}
            return Complete(_per_class(jaffe.OFFICIAL), **known, more=each)
        case "mmi":
            return Complete(classes=EXPRESSIONS[:6], about="as many as your download holds")
        case "nimstim":
            actors, images = nimstim.USUAL
            about = "the standard set; copies differ"
            return Complete(classes=EXPRESSIONS[:7], images=images, subjects=actors, about=about)
        case "oulu_casia":
            people, classes = len(oulu_casia.SUBJECTS), EXPRESSIONS[:6]
            lights = [light for light in oulu_casia.ILLUMINATIONS if light != "all"]
            cameras = [camera for camera in oulu_casia.CAMERAS if camera != "all"]
            known = {"sequences": people * len(classes), "subjects": people}
            more = {"Cameras": ", ".join(cameras), "Illuminations": ", ".join(lights)}
            more["Sequences of all"] = people * len(classes) * len(lights) * len(cameras)
            about = "sequences per camera and illumination"
            counts = _per_class(dict.fromkeys(classes, people), "sequences")
            return Complete(counts, "sequences", **known, about=about, more=more)
        case "cmu_faces":  # the people as the card's text says too; the reader asserts no number of them
            known = {"images": sum(cmu_faces.USUAL.values()), "subjects": 20}
            return Complete(_per_class(cmu_faces.USUAL), **known, about="usable images per scale")
    card = datasets.CARDS[name]
    known = card.complete
    classes = tuple(name for name in EXPRESSIONS if any(name in c.values() for c in card.codes.values()))
    unit = "sequences" if "sequences" in known else "images"
    counts = _per_class(known, unit) if set(classes) <= set(known) else None
    whole = {what: known.get(what) for what in ("images", "sequences", "subjects")}
    return Complete(counts, unit, classes=classes, **whole)


def _per_class(counts: Mapping[str, int], unit: str = "images") -> pd.DataFrame:
    """Return counts per class in canonical order, as one column."""
    return pd.DataFrame({unit: pd.Series({name: counts[name] for name in EXPRESSIONS if name in counts})})


def totals(name: str) -> HTML:
    """Show the counts of a complete copy in a few lines."""
    has = complete(name)
    counts = {"Images": has.images, "Sequences": has.sequences, "Subjects": has.subjects}
    lines = {what: n for what, n in counts.items() if n is not None}
    if has.about:
        lines = {"Counts": has.about} if not lines else lines | {"Note": has.about}
    return facts(lines | has.more | {"Classes": f"{len(has.names)}: {', '.join(has.names)}"})


def balance(name: str) -> Any:
    """Draw the class balance of a complete copy; where that is not known, of what a paper took of it."""
    from fer_lib.show import plots

    has = complete(name)
    if (counts := has.counts) is None:
        taken = claims.load("cspp").protocol(SELECTED[name])["class_counts"]
        counts = _per_class({canonical(label): n for label, n in taken.items()})
    figure = plots.class_balance(counts)
    figure.axes[0].set_xlabel(has.unit.capitalize())
    return figure


SELECTED = {"mmi": "mmi_6class_7fold_si", "nimstim": "nimstim_6class_8fold_si"}
"""Corpora without official counts per class: the protocol of C-SPP whose printed accuracies imply some."""


def classes(name: str) -> HTML:
    """Show the label of each class as the files write it, and the counts of a complete copy."""
    has, written = complete(name), codes(name)
    counts = pd.DataFrame(index=has.names) if has.counts is None else has.counts.loc[list(has.names)]
    if counts.shape[1] > 1:
        counts = counts.assign(all=counts.sum(axis=1))
    if counts.shape[1]:
        counts.loc["all"] = counts.sum()
    counts.columns = [str(column).replace("_", " ").capitalize() for column in counts]
    rows = []
    for expression, row in counts.iterrows():
        labels = {form: found.get(expression) for form, found in written.items()}
        shown = {form: code and Html(f"<code>{escape(code)}</code>") for form, code in labels.items()}
        rows.append({"Expression": expression, **shown, **row.to_dict()})
    return table(rows, counts.columns, "Classes and their codes")


def codes(name: str) -> dict[str, dict[str, str]]:
    """Return, for each form that writes labels its own way, how each expression is written."""
    forms = datasets.CARDS[name].codes.items()
    return {form: {expression: code for code, expression in known.items()} for form, known in forms}
