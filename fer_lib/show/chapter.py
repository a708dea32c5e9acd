"""What every notebook's first and last cells do.

A :class:`Chapter` checks the parameters, says what the run is not, shows what the paper says and leaves open,
records the evidence and sets it beside the claims. What it shows it returns, for the last line of a cell, or
displays at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display

from fer_lib import claims
from fer_lib.data import datasets, splits
from fer_lib.data.corpus import Corpus, audit
from fer_lib.data.splits import Fold
from fer_lib.errors import one_of
from fer_lib.evidence.preflight import resolve
from fer_lib.evidence.provenance import RUN_PARAMETERS, defaults
from fer_lib.evidence.runs import PROBE, Recorder, Run, variant
from fer_lib.judge import paper_tables, report
from fer_lib.learn.recipes import Recipe
from fer_lib.learn.training import choose_device
from fer_lib.show import beside, pages, plots, results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What a reader calls the lines of ``splits.certify`` and ``corpus.audit``.
CERTIFIED = {
    "n_folds": "folds",
    "tested": "images tested",
    "every_sample_tested_once": "every image tested, and once",
    "subjects_shared": "people on both sides, summed over folds",
    "sequences_shared": "sequences on both sides, summed over folds",
    "twins_crossing": "tested images with an identical twin in training",
    "index_sha256": "hash of who is where (its beginning)",
}
AUDITED = {
    "images": "images",
    "distinct": "different images",
    "redundant": "copies of another image",
    "groups": "groups of identical images",
    "conflicting_groups": "such groups under several labels",
    "cross_split_groups": "such groups in several official splits",
    "black": "black images",
    "twins_in_training": "images with a twin in training",
    "twins_with_other_label": "images whose twin in training has another label",
}


class Chapter:
    """One run of one paper's notebook, from its parameters to its verdicts.

    Parameters
    ----------
    paper : str
        Key of the paper.
    namespace : dict
        The notebook's ``globals()``, whose parameters are checked and get the types that they should have
        (:func:`fer_lib.evidence.preflight.resolve`).
    budgets : dict
        Budget to its plan: plain data, written into the evidence.

    Attributes
    ----------
    chosen : dict
        All parameters of this run.
    dataset, budget, seed, data_dir
        Those of them that name the run.
    device : torch.device
        What it computes on.
    plan : dict
        That of the run's budget.
    changes : list of str
        A phrase for each departure from our reading and from the paper; see :meth:`departs`.
    corpus : Corpus
        What the run is made on, from :meth:`begin` on.
    recorder : Recorder
        Where the evidence is written, from :meth:`begin` on.
    evidence : Run
        What was written, from :meth:`commit` on.

    Raises
    ------
    FerError
        For the first parameter that cannot be.
    """

    corpus: Corpus
    recorder: Recorder
    evidence: Run

    def __init__(self, paper: str, namespace: dict[str, Any], budgets: Mapping[str, dict[str, Any]]) -> None:
        self.paper = paper
        self.chosen, self.changes = readings(paper, namespace)
        names = ("dataset", "budget", "seed", "data_dir")
        self.dataset, self.budget, self.seed, self.data_dir = (self.chosen[name] for name in names)
        self.device = choose_device(self.chosen["device"])
        self.plan = budgets[one_of(self.budget, budgets, "budget of this chapter:")]
        self.info: dict[str, Any] = {"plan": self.plan, "changes": self.changes}

    # --- before the data: what is said at the top ---------------------------------------------------------

    def departs(self, phrase: str, here: object, printed: object) -> None:
        """Add a phrase such as ``"{} epochs, not {}"`` to ``changes`` if the two values differ."""
        if here != printed:
            self.changes.append(phrase.format(here, printed))

    def banner(self) -> HTML:
        """Say what the run is made on and how it departs from the paper."""
        card = datasets.CARDS[self.dataset]
        return pages.banner(card, self.budget, self.changes, stand_in=self.paper in card.stands_in)

    def ledger(self) -> HTML:
        """Show the accuracies that the paper's tables print of its own models, one column per dataset."""
        return pages.table(ledger(self.paper))

    def other_work(self) -> HTML:
        """Show the accuracies of the tables that set the paper's own beside other work's."""
        frame = paper_tables.other_work(self.paper)
        return pages.table(
            frame, {"accuracy": ".2f"}, fold=f"{len(frame)} numbers beside other work's, as printed"
        )

    def register(self) -> HTML:
        """Show the open readings of the paper, ours, the parameter that flips it and its value here."""
        frame = register(self.paper, self.chosen)
        return pages.table(frame, fold=f"{len(frame)} open readings, and ours")

    def doubts(self) -> HTML:
        """Show what does not add up in the paper and matters for its results."""
        frame = doubts(self.paper)
        every = len(claims.load(self.paper).inconsistencies)
        return pages.table(
            frame, fold=f"{len(frame)} of the {every} things that do not add up: all but small slips"
        )

    # --- the data -------------------------------------------------------------------------------------------

    def load(self, **options: Any) -> Corpus:
        """Read the run's corpus, and note whether the copy is what its owner published.

        ``options`` are those of :func:`fer_lib.data.datasets.load`.
        """
        corpus = datasets.load(self.dataset, self.data_dir or None, **options)
        self.info["copy"] = datasets.authenticity(corpus)
        return corpus

    def begin(self, corpus: Corpus) -> HTML:
        """Begin the record of a run on ``corpus``; show its counts, and a warning if the copy is altered."""
        self.corpus = corpus
        self.recorder = Recorder(
            *(self.paper, self.dataset, self.budget, self.seed, variant(self.paper, self.chosen)),
            parameters=self.chosen,
            fingerprint=corpus.fingerprint,
        )
        counts = pages.table(corpus.counts().reset_index())
        found = self.info.get("copy")
        return HTML(altered(found["findings"]) + counts.data) if found and not found["original"] else counts

    @property
    def may_show(self) -> bool:
        """Whether the corpus's terms allow its images in figures."""
        return self.corpus.card.may_show

    def audit(self, corpus: Corpus | None = None) -> HTML:
        """Show how many images of the corpus (or another state of it) are copies, or lie under two labels."""
        self.info["audit"] = audit(corpus or self.corpus)
        return pages.table(audit_table(self.info["audit"]))

    def certify(self, protocols: dict[str, list[Fold]]) -> HTML:
        """Show what each protocol's folds keep; ``subject`` and ``loso`` must keep people on one side."""
        self.info["certificates"], frame = certify(self.corpus, protocols)
        return pages.table(frame)

    def settings(self, recipe: Recipe) -> HTML:
        """Show a recipe line by line, each with the place where the paper sets it."""
        return pages.table(settings(recipe))

    # --- figures --------------------------------------------------------------------------------------------

    def show(self, name: str, figure: Figure, heading: str = "") -> None:
        """Record a figure and show it, under a heading if one is given.

        The output carries ``name`` in its metadata, by which a page finds the figure's caption.
        """
        self.recorder.add_figure(name, figure)
        if heading:
            display(Markdown(f"**{pages.called(heading)}**"))
        display(figure, metadata={"figure": name})

    def contact_sheet(self, landmarks: np.ndarray | None = None) -> None:
        """Show eight images of each expression, drawn at random, where the corpus's terms allow it.

        ``landmarks`` are float (N, P, 2), of all images of the corpus in pixels (x, y).
        """
        corpus, rng = self.corpus, np.random.default_rng(self.seed)
        if self.may_show:
            members = [np.flatnonzero(corpus.labels == i) for i in range(len(corpus.classes))]
            sample = np.concatenate([rng.permutation(some)[:8] for some in members])
            points = {} if landmarks is None else {"landmarks": landmarks[sample]}
            figure = plots.contact_sheet(
                corpus.images[sample], corpus.labels[sample], corpus.classes, **points
            )
            self.show("contact_sheet", figure)

    def features(self, index: np.ndarray, values: dict[str, np.ndarray]) -> HTML:
        """Show features of the images at ``index`` in the plane, network by network, and what they hold.

        ``values`` are float (N, D) by network; see :func:`fer_lib.show.results.feature_maps`.
        """
        figures, frame = results.feature_maps(self.corpus, index, values, self.recorder, self.seed)
        for name, figure in figures.items():
            display(figure, metadata={"figure": name})
        return pages.table(frame, dict.fromkeys(frame.columns[2:], ".3f"))

    # --- the end --------------------------------------------------------------------------------------------

    def commit(self, **facts: Any) -> Run:
        """Write the evidence and read it back.

        ``facts`` are further entries of ``run.json``, such as ``protocol``, ``recipe`` and ``members`` (of an
        average, the networks that it is of); they go before the chapter's own.
        """
        own = {"classes": list(self.corpus.classes), "counts": self.corpus.counts().to_dict()}
        self.recorder.info |= own | self.info | facts
        self.evidence = Run(self.recorder.commit())
        return self.evidence

    def beside_claims(self) -> HTML | Markdown:
        """Show in what precision the networks were trained, and the run's claims with their verdicts."""
        return beside_claims(self.paper, self.evidence)


# --- the tables behind it --------------------------------------------------------------------------------


def readings(paper: str, namespace: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Check a run's parameters; return them and, for each that departs from our reading, a phrase."""
    chosen, ours = resolve(paper, namespace), defaults(paper)
    changed = (name for name in ours if name not in RUN_PARAMETERS and chosen[name] != ours[name])
    return chosen, [f"{name} = {chosen[name]!r}" for name in changed]


def ledger(paper: str) -> pd.DataFrame:
    """Return the accuracies that a paper's tables print of its own models, one column per dataset."""
    frame = claims.frame(paper).query("ours and metric == 'accuracy' and table.str.startswith('Table')")
    frame = frame[frame["expression"].isna() & frame["train_dataset"].isna() & frame["fold"].isna()]
    wide = frame.pivot_table(index="model", columns="dataset", values="value", sort=False)
    return wide.rename_axis(columns=None).reset_index()


def register(paper: str, chosen: dict[str, Any]) -> pd.DataFrame:
    """Return a paper's open readings, ours, and where it has a parameter that and its value in this run."""
    frame = claims.ambiguities(paper)
    frame = frame.assign(value=[repr(chosen[name]) if name else None for name in frame["knob"]])
    names = {"problem": "what is open", "recommended": "our reading", "knob": "parameter"}
    return frame[[*names, "value"]].rename(columns=names | {"value": "in this run"})


def doubts(paper: str) -> pd.DataFrame:
    """Return what does not add up in a paper and matters for its results: what, where, evidence."""
    frame = pd.DataFrame(claims.load(paper).inconsistencies)
    return frame[frame["severity"].isin(("high", "medium"))][["what", "where", "evidence"]]


def settings(recipe: Recipe) -> pd.DataFrame:
    """Return a recipe line by line, each with the place where the paper sets it (a budget may change it)."""
    facts = recipe.describe()
    sources = facts.pop("sources")
    place = "where the paper sets it"
    rows = [
        {"setting": n, "value": "none" if v is None else str(v), place: sources.get(n, "not stated")}
        for n, v in facts.items()
    ]
    return pd.DataFrame(rows)


def altered(findings: list[str]) -> str:
    """Return the warning that a copy is not what its owner published."""
    body = "".join(f"<p>{escape(sentence)}</p>" for sentence in findings)
    head = '<p class="admonition-title">This copy is not the original</p>'
    return f'<div class="admonition warning">{head}{body}</div>'


def audit_table(facts: dict[str, Any]) -> pd.DataFrame:
    """Return what :func:`fer_lib.data.corpus.audit` counted, ``what`` and ``images``, split by split."""
    rows = []
    for name, value in facts.items():
        for part, n in (value if isinstance(value, dict) else {"total": value}).items():
            of = "" if part == "total" else f", {part.replace('_', ' ')}"
            rows.append({"what": AUDITED[name] + of, "images": n})
    return pd.DataFrame(rows)


def certify(corpus: Corpus, protocols: dict[str, list[Fold]]) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return each protocol's certificate, and the lines of it that a reader looks for as a table.

    A protocol called ``subject``, or by a name that ends in ``loso``, must keep every person on one side,
    else it is refused.
    """
    made = {
        name: splits.certify(corpus, folds, name == "subject" or name.endswith("loso"))
        for name, folds in protocols.items()
    }
    frame = pd.DataFrame({name: c | {"index_sha256": c["index_sha256"][:16]} for name, c in made.items()})
    lines = [name for name in CERTIFIED if frame.loc[name].notna().any()]  # not every corpus has sequences
    return made, frame.loc[lines].rename(CERTIFIED).rename_axis("certificate").reset_index()


def arithmetic(evidence: Run) -> pd.DataFrame:
    """Return in what precision a run's networks were trained on its machine, and why, a line per decision."""
    rows = []
    for entry in evidence.info.get("precision", []):
        networks = dict.fromkeys(unit.rpartition(" ")[0] for unit in entry["units"])  # without their folds
        rows.append({"networks": ", ".join(networks), "trained in": entry["name"], "why": entry["reason"]})
    return pd.DataFrame(rows, columns=["networks", "trained in", "why"])


def beside_claims(paper: str, evidence: Run) -> HTML | Markdown:
    """Return the table of a run's claims with verdicts, or the sentence that says why there is none."""
    if len(precision := arithmetic(evidence)):
        display(
            pages.table(
                precision, fold="The precision in which the networks were trained on this machine, and why"
            )
        )
    if evidence.budget == PROBE:
        return Markdown("*A probe compares two readings with one another; it is not set beside any claim.*")
    frame = report.compare(paper, [evidence])
    frame = frame[frame["run"].notna()]
    if not len(frame):
        card = datasets.CARDS[evidence.dataset]
        why = "this run is on synthetic data" if card.synthetic else "the paper prints none"
        if paper in card.stands_in:
            why = f"{card.title} stands in for the paper's corpora"
        return Markdown(f"*No claim is compared: {why}.*")
    return HTML(beside.claims_table(frame, "Claims beside this run"))
