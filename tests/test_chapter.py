"""What every notebook's first and last cells do: parameters, banner, tables, record, claims."""

import numpy as np
import pytest

from fer_lib import claims
from fer_lib.data import datasets, splits
from fer_lib.data.corpus import audit
from fer_lib.errors import FerError
from fer_lib.evidence.provenance import notebook_path, parameters
from fer_lib.learn.recipes import Recipe
from fer_lib.show import chapter as chapters
from fer_lib.show import plots
from fer_lib.show.chapter import Chapter

PLANS = {"smoke": {"width": 0.5}}


@pytest.fixture(scope="module")
def corpus():
    return datasets.load("synthetic", n_subjects=6, per_expression=2)


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Return a function that makes a chapter with some parameters changed, in a repository of its own."""
    values = parameters(notebook_path("cnn_sift"))
    stage = tmp_path / "results/.work/key/evidence"
    stage.parent.mkdir(parents=True)
    monkeypatch.setenv("FER_STAGE", str(stage))
    return lambda **given: Chapter("cnn_sift", values | given, PLANS)


def test_what_departs_is_said_at_the_top(begin):
    chapter = begin(lr=0.1)
    chapter.departs("{} epochs, not {}", 60, 300)
    chapter.departs("every layer at {:.0%} of its width", 1, 1)
    assert chapter.changes == ["lr = 0.1", "60 epochs, not 300"]
    assert "lr = 0.1; 60 epochs, not 300." in chapter.banner().data
    assert chapter.plan == PLANS["smoke"]


def test_a_budget_without_a_plan_is_refused(begin):
    with pytest.raises(FerError, match="budget of this chapter"):
        begin(budget="full")


def test_parameters_that_cannot_be_are_refused(begin):
    with pytest.raises(FerError, match="sift_merge"):
        begin(sift_merge="nowhere")


@pytest.mark.parametrize("paper", claims.PAPERS)
def test_tables_of_what_a_paper_says_cover_it(paper):
    knobs = claims.ambiguities(paper)["knob"]
    frame = chapters.register(paper, dict.fromkeys(knobs.dropna(), 1))
    assert len(frame) == len(knobs)
    assert (frame["in this run"] == "1").sum() == knobs.notna().sum()
    assert len(chapters.doubts(paper)) <= len(claims.load(paper).inconsistencies)
    assert chapters.ledger(paper)["model"].is_unique


def test_settings_name_their_source():
    table = chapters.settings(Recipe(3, sources={"epochs": "Sect. 4"})).set_index("setting")
    assert table.loc["epochs", "where the paper sets it"] == "Sect. 4"
    assert table.loc["lr", "where the paper sets it"] == "not stated"
    assert table.loc["augmentation", "value"] == "none"


def test_an_altered_copy_is_said_and_recorded(begin, corpus, monkeypatch):
    found = {"original": False, "findings": ["Its grey levels are <equalised>."]}
    monkeypatch.setattr(datasets, "authenticity", lambda corpus: found)
    monkeypatch.setattr(datasets, "load", lambda *args, **options: corpus)
    chapter = begin()
    said = chapter.begin(chapter.load()).data
    chapter.recorder.close()
    assert chapter.info["copy"] == found
    assert (
        said.index("This copy is not the original")
        < said.index("are &lt;equalised&gt;")
        < said.index("<table")
    )
    found["original"] = True
    said = chapter.begin(corpus).data
    chapter.recorder.close()
    assert "not the original" not in said


def test_a_run_from_its_data_to_its_claims(begin, monkeypatch):
    """Answers, figures and facts of its own all arrive in the evidence; outputs carry the figures' names."""
    names = []
    monkeypatch.setattr(chapters, "display", lambda *_, metadata=None: names.append(metadata))
    chapter = begin()
    corpus = chapter.load(n_subjects=4, per_expression=1)
    chapter.begin(corpus)
    n = len(corpus.classes)
    chapter.audit()
    folds = {"subject": splits.subject_kfold(corpus, 2)}
    chapter.certify(folds)
    chapter.contact_sheet()
    chapter.show("confusion", plots.confusion(np.eye(n, dtype=int), corpus.classes), heading="C1")
    assert names == [{"figure": "contact_sheet"}, None, {"figure": "confusion"}]
    answers = np.eye(n)[corpus.labels]
    chapter.recorder.add_predictions("C1", answers, corpus.labels, corpus.ids)
    run = chapter.commit(protocol="made up", members={"CNN-ONLY": ["C1"]})
    assert run.info["members"] == {"CNN-ONLY": ["C1"]}
    assert run.info["protocol"] == "made up"
    assert run.info["plan"] == PLANS["smoke"]
    assert run.info["copy"] is None
    assert run.info["certificates"]["subject"]["subjects_shared"] == 0
    assert run.info["audit"]["images"] == len(corpus)
    assert sorted(path.stem for path in (run.path / "figures").iterdir()) == ["confusion", "contact_sheet"]
    assert "synthetic data" in chapter.beside_claims().data


def test_a_protocol_called_subject_must_keep_its_word(corpus):
    with pytest.raises(FerError):
        chapters.certify(corpus, {"subject": splits.kfold(corpus, 3)})
    made, table = chapters.certify(corpus, {"random": splits.kfold(corpus, 3)})
    assert set(table.columns) == {"certificate", "random"}
    shown = table.set_index("certificate")["random"]
    assert shown["folds"] == 3
    assert shown["people on both sides, summed over folds"] == made["random"]["subjects_shared"] > 0
    assert made["random"]["n_folds"] == 3


def test_an_audit_is_told_in_words_split_by_split(corpus):
    facts = audit(corpus)
    assert chapters.audit_table(facts)["images"].sum() > 0
    facts |= {"black": {"total": 3, "private_test": 1}, "twins_in_training": {"private_test": 2}}
    told = chapters.audit_table(facts).set_index("what")["images"]
    assert told["black images"] == 3
    assert told["black images, private test"] == 1
    assert told["images with a twin in training, private test"] == 2
