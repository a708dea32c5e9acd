"""What every notebook's first and last cells do."""

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


def open_places(paper: str) -> pd.DataFrame:
    """Return what a paper leaves open, without what only our budgets ask.

    Returns
    -------
    pandas.DataFrame
        The rows of :func:`fer_lib.claims.ambiguities` that every page counts.
    """
    frame = claims.ambiguities(paper)
    return frame[~frame["problem"].str.startswith("Not open in the paper")]


def _setting(value: Any) -> str:
    """Return the value of a setting; of a rate for each epoch, how it goes."""
    if value is None:
        return "none"
    if not isinstance(value, (tuple, list)) or len(value) < 4:
        return str(value)
    some = (value[0], max(value), value[-1])
    first, highest, last = (np.format_float_positional(float(f"{one:.3g}"), trim="-") for one in some)
    way = f"rises from {first} to {highest}" if value[0] < max(value) else ""
    if value[-1] < max(value):
        way = f"{way}, then falls to {last}" if way else f"falls from {first} to {last}"
    return f"{way or f'stays at {first}'} over {len(value)} epochs"


class Chapter:
    """One run of one paper's notebook, from its parameters to its verdicts.

    It checks the parameters, says what the run is not, shows what the paper says and leaves open, records the
    evidence and sets it beside the claims. What it shows it returns, for the last line of a cell, or displays
    at once.

    ``namespace`` is the notebook's ``globals()``, whose parameters are checked and get the types that they
    should have (:func:`fer_lib.evidence.preflight.resolve`); FerError for the first that cannot be.
    ``budgets`` maps each budget to its plan: plain data, written into the evidence.

    Attributes
    ----------
    chosen : dict
        All parameters of this run; ``dataset``, ``budget``, ``seed``, ``data_dir`` and ``device`` are some.
    plan : dict
        That of the run's budget.
    changes : list of str
        A phrase for each departure from our reading and from the paper; see :meth:`departs`.
    corpus, recorder
        What the run is made on and where its evidence is written, from :meth:`begin` on.
    evidence : Run
        What was written, from :meth:`commit` on.
    """

    corpus: Corpus
    recorder: Recorder
    evidence: Run

    def __init__(self, paper: str, namespace: dict[str, Any], budgets: Mapping[str, dict[str, Any]]) -> None:
        self.paper = paper
        self.chosen, ours = resolve(paper, namespace), defaults(paper)
        changed = (name for name in ours if name not in RUN_PARAMETERS and self.chosen[name] != ours[name])
        self.changes = [f"{name} = {self.chosen[name]!r}" for name in changed]
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
        frame = claims.frame(self.paper).query("ours and metric == 'accuracy'")
        plain = frame[["expression", "train_dataset", "fold"]].isna().all(axis=1)
        frame = frame[plain & frame["table"].str.startswith("Table")]
        wide = frame.pivot_table(index="model", columns="dataset", values="value", sort=False)
        return pages.table(wide.rename_axis(columns=None).reset_index())

    def other_work(self) -> HTML:
        """Show the accuracies of the tables that set the paper's own beside other work's."""
        frame = paper_tables.other_work(self.paper)
        said = f"{len(frame)} numbers beside other work's, as printed"
        return pages.table(frame, {"accuracy": ".2f"}, fold=said)

    def register(self) -> HTML:
        """Show the open readings of the paper, ours, the parameter that flips it and its value here."""
        frame = open_places(self.paper)
        frame = frame.assign(value=[repr(self.chosen[name]) if name else None for name in frame["knob"]])
        names = {"problem": "what is open", "recommended": "our reading", "knob": "parameter"}
        names |= {"value": "in this run"}
        frame = frame[[*names]].rename(columns=names)
        return pages.table(frame, fold=f"{len(frame)} open readings, and ours")

    def doubts(self) -> HTML:
        """Show what does not add up in the paper and matters for its results."""
        every = pd.DataFrame(claims.load(self.paper).inconsistencies)
        frame = every[every["severity"].isin(("high", "medium"))][["what", "where", "evidence"]]
        said = f"{len(frame)} of the {len(every)} things that do not add up: all but small slips"
        return pages.table(frame, fold=said)

    # --- the data -------------------------------------------------------------------------------------------

    def load(self, **options: Any) -> Corpus:
        """Read the run's corpus (:func:`fer_lib.data.datasets.load`); say if it is the owner's copy."""
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
        if not found or found["original"]:
            return counts
        said = pages.admonition("warning", "This copy is not the original", map(escape, found["findings"]))
        return HTML(said + counts.data)

    @property
    def may_show(self) -> bool:
        """Whether the corpus's terms allow its images in figures."""
        return self.corpus.card.may_show

    def audit(self, corpus: Corpus | None = None) -> HTML:
        """Show how many images of the corpus (or another state of it) are copies, or lie under two labels."""
        self.info["audit"], rows = audit(corpus or self.corpus), []
        for name, value in self.info["audit"].items():
            for part, n in (value if isinstance(value, dict) else {"total": value}).items():
                of = "" if part == "total" else f", {part.replace('_', ' ')}"
                rows.append({"what": AUDITED[name] + of, "images": n})
        return pages.table(pd.DataFrame(rows))

    def certify(self, protocols: dict[str, list[Fold]]) -> HTML:
        """Show what each protocol's folds keep.

        A protocol called ``subject``, or by a name that ends in ``loso``, must keep every person on one side,
        else FerError.
        """
        self.info["certificates"] = made = {
            name: splits.certify(self.corpus, folds, name == "subject" or name.endswith("loso"))
            for name, folds in protocols.items()
        }
        frame = pd.DataFrame({name: c | {"index_sha256": c["index_sha256"][:16]} for name, c in made.items()})
        lines = [name for name in CERTIFIED if frame.loc[name].notna().any()]  # some have no sequences
        return pages.table(frame.loc[lines].rename(CERTIFIED).rename_axis("certificate").reset_index())

    def settings(self, recipe: Recipe) -> HTML:
        """Show a recipe line by line, each with where the paper sets it (a budget may change it)."""
        facts = recipe.describe()
        sources = facts.pop("sources")
        rows = [(name, _setting(value), sources.get(name, "not stated")) for name, value in facts.items()]
        return pages.table(pd.DataFrame(rows, columns=["setting", "value", "where the paper sets it"]))

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
            points = None if landmarks is None else landmarks[sample]
            drawn = corpus.images[sample], corpus.labels[sample], corpus.classes
            self.show("contact_sheet", plots.contact_sheet(*drawn, landmarks=points))

    def features(self, index: np.ndarray, values: dict[str, np.ndarray]) -> HTML:
        """Show features of the images at ``index`` in the plane, network by network, and what they hold.

        ``values`` are float (N, D) by network; see :func:`fer_lib.show.results.feature_maps`.
        """
        figure, frame = results.feature_maps(self.corpus, index, values, self.recorder, self.seed)
        display(figure, metadata={"figure": "features"})
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
        """Show the run's claims with their verdicts, or say why there are none.

        In what precision its networks were trained on its machine, and why, is displayed at once.
        """
        evidence, rows = self.evidence, []
        for entry in evidence.info.get("precision", []):
            networks = ", ".join(dict.fromkeys(unit.rpartition(" ")[0] for unit in entry["units"]))
            rows.append({"networks": networks, "trained in": entry["name"], "why": entry["reason"]})
        if rows:
            said = "The precision in which the networks were trained on this machine, and why"
            display(pages.table(pd.DataFrame(rows), fold=said))
        if evidence.budget == PROBE:
            said = "A probe compares two readings with one another; it is not set beside any claim."
            return Markdown(f"*{said}*")
        frame = report.compare(self.paper, [evidence]).dropna(subset="run")
        if frame.empty:
            card = datasets.CARDS[evidence.dataset]
            why = "this run is on synthetic data" if card.synthetic else "the paper prints none"
            if self.paper in card.stands_in:
                why = f"{card.title} stands in for the paper's corpora"
            return Markdown(f"*No claim is compared: {why}.*")
        return HTML(beside.claims_table(frame, "Claims beside this run"))
