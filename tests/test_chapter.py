"""What every notebook's first and last cells do: parameters, banner, tables, record, claims."""

import numpy as np
import pytest
from bs4 import BeautifulSoup

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
    stage = tmp_path / "results/.work/key/evidence"
    stage.parent.mkdir(parents=True)
    monkeypatch.setenv("FER_STAGE", str(stage))

    def made(paper="cnn_sift", **given):
        return Chapter(paper, parameters(notebook_path(paper)) | given, PLANS)

    return made


def rows(table):
    """Return the words of a table's cells, row by row."""
    found = BeautifulSoup(table.data, "html.parser").select("tbody tr")
    return [[cell.get_text() for cell in row.select("th, td")] for row in found]


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
def test_tables_of_what_a_paper_says_cover_it(begin, paper):
    chapter = begin(paper)
    places = chapters.open_places(paper)
    knobs = places["knob"].dropna()
    register = rows(chapter.register())
    assert len(register) == len(places) <= len(claims.ambiguities(paper))
    assert [row[-1] for row in register if row[-1] != "–"] == [repr(chapter.chosen[knob]) for knob in knobs]
    grave = [entry for entry in claims.load(paper).inconsistencies if entry["severity"] != "low"]
    assert len(rows(chapter.doubts())) == len(grave)
    models = [row[0] for row in rows(chapter.ledger())]
    assert len(models) == len(set(models))


def test_settings_name_their_source(begin):
    table = {row[0]: row[1:] for row in rows(begin().settings(Recipe(3, sources={"epochs": "Sect. 4"})))}
    assert table["epochs"] == ["3", "Sect. 4"]
    assert table["lr"][1] == "not stated"
    assert table["augmentation"][0] == "none"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "none"),
        (0.5, "0.5"),
        ((0.9, 0.999), "(0.9, 0.999)"),
        ((1e-3, 1e-3, 1e-4, 1e-5), "falls from 0.001 to 0.00001 over 4 epochs"),
        ((1.0, 3.0, 2.0, 0.1), "rises from 1 to 3, then falls to 0.1 over 4 epochs"),
        ((0.1,) * 4, "stays at 0.1 over 4 epochs"),
    ],
)
def test_a_rate_for_each_epoch_is_told_by_how_it_goes(value, said):
    assert chapters._setting(value) == said


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


def test_a_protocol_called_subject_must_keep_its_word(begin, corpus):
    chapter = begin()
    chapter.corpus = corpus
    with pytest.raises(FerError):
        chapter.certify({"subject": splits.kfold(corpus, 3)})
    shown = dict(rows(chapter.certify({"random": splits.kfold(corpus, 3)})))
    made = chapter.info["certificates"]["random"]
    assert shown["folds"] == str(made["n_folds"]) == "3"
    assert int(shown["people on both sides, summed over folds"]) == made["subjects_shared"] > 0


def test_an_audit_is_told_in_words_split_by_split(begin, corpus, monkeypatch):
    facts = audit(corpus) | {
        "black": {"total": 3, "private_test": 1},
        "twins_in_training": {"private_test": 2},
    }
    monkeypatch.setattr(chapters, "audit", lambda corpus: facts)
    told = dict(rows(begin().audit(corpus)))
    assert told["black images"] == "3"
    assert told["black images, private test"] == "1"
    assert told["images with a twin in training, private test"] == "2"
