"""The pages of arithmetic and of open readings say what the library finds."""

import html
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from fer_lib import claims
from fer_lib.judge import forensics, report
from fer_lib.judge.verdicts import DECIDED
from fer_lib.show.chapter import open_places

BOOK = Path(__file__).resolve().parents[1] / "book"


@pytest.fixture(autouse=True)
def helpers(monkeypatch):
    """Import the pages' helpers as a page does, from its own folder."""
    monkeypatch.syspath_prepend(str(BOOK))
    yield
    for name in (
        "arithmetic",
        "register",
        "chapter",
        "about_runs",
        "markup",
        "front",
        "score_page",
        "pictures",
        "papers",
        "measured",
    ):
        sys.modules.pop(name, None)


def test_every_failing_fraction_is_shown():
    import arithmetic

    shown = arithmetic.fractions().data
    failing = forensics.fractions().query("fits == ''")
    assert shown.count("<tr") == len(failing) + 1
    assert all(f"{value:.2f}" in shown for value in failing["printed"])


def test_the_summary_counts_what_the_tables_show():
    import arithmetic

    table, shown = arithmetic._averages(), arithmetic.averages().data
    assert f'data-head="Checked">{len(table)}</td>' in arithmetic.summary().data
    assert shown.count("neither") == (forensics.averages()["agrees"] == "").sum()
    lines = re.findall(r"<tr.*?</tr>", shown)
    assert len(lines) == len(table) + shown.count("<table")
    assert len(set(lines)) == len(table) + 1  # no row twice, and two tables have one head


@pytest.mark.parametrize("paper", claims.PAPERS)
def test_everything_found_and_left_open_is_listed(paper):
    import arithmetic
    import register

    found = arithmetic.found(paper).data
    assert found.count("<tr") == len(claims.load(paper).inconsistencies) + 1
    listed = register.of(paper).data
    assert all(knob in listed for knob in claims.ambiguities(paper)["knob"].dropna())
    assert all(html.escape(text) in listed for text in claims.ambiguities(paper)["problem"])
    assert "None = None" not in listed


EFFECT = {
    **{"paper": "cnn_sift", "dataset": "fer2013", "budget": "probe", "knob": "lr", "default": 0.001},
    **{"value": 0.1, "model": "S2", "n": 2200, "seeds": 2, "ours": 41.0, "other": 38.25},
    **{"difference": -2.75, "low": -4.5, "high": -1.0, "spread": 1.5, "spread_seeds": 3},
    **{"clear": True, "started": True},
}


def test_a_measured_reading_is_shown_with_its_interval_and_its_noise(monkeypatch):
    import register
    from IPython.display import HTML

    probes = pd.DataFrame([EFFECT, EFFECT | {"knob": "augment", "value": "mild", "low": 4.0, "clear": False}])
    whole = pd.DataFrame([EFFECT | {"budget": "short", "spread": float("nan"), "clear": False}])
    monkeypatch.setattr(register.sensitivity, "effects", lambda probes=True, f=probes: f if probes else whole)
    probe, run = register._lines("cnn_sift", "lr")
    assert probe.startswith('0.1: -2.8 <span class="interval">[-4.5, -1.0]</span> points, more than noise')
    assert "short" in run
    assert "one seed" in run
    assert register._lines("cspp", "lr") == []
    assert probe in register.of("cnn_sift").data
    shown = register.measured().data
    assert shown.count("<tr") == 3
    assert shown.count("within noise") == 1
    assert "Of 2 readings measured on real data, 1 moved accuracy" in register.summary().data
    assert "never started" not in register.summary().data + shown
    assert not isinstance(register.forest(), HTML)


def test_readings_have_names_and_the_paper_only_where_two_are_called_alike():
    import register

    rows = [
        EFFECT | {"knob": "normalisation", "value": "global_mean", "paper": p} for p in ("cnn_sift", "lkrnet")
    ]
    rows.append(EFFECT | {"knob": "use_batchnorm", "value": True})
    names = register._readings(pd.DataFrame(rows))
    assert names[2].endswith(": yes")
    assert "global mean" in names[0]
    again = register._readings(pd.DataFrame([*rows, rows[0] | {"paper": "multimodal"}]))
    assert again[0] == f"{names[0]} ({claims.load('cnn_sift').short_name})"


def test_a_network_that_never_started_is_no_cost(monkeypatch):
    import register
    from chapter import Overview

    idle = EFFECT | {"difference": -20.0, "started": False, "clear": False}
    rows = pd.DataFrame([idle, EFFECT | {"difference": 9.0, "clear": False}, EFFECT])
    monkeypatch.setattr(register.sensitivity, "effects", lambda probes=True: rows)
    assert "Under 1 other reading the network never started" in register.summary().data
    for shown in (register.costly("cnn_sift").data, register.measured().data):
        places = [shown.find(text) for text in ("more than noise", "within noise", "never started")]
        assert 0 < places[0] < places[1] < places[2]
    # That a probe is no result is said once: above the table, since the chapter adds nothing.
    said = Overview("cnn_sift").guesses().data
    assert said == register.costly("cnn_sift").data
    assert said.count("for comparison with one another") == 1


def test_without_probes_the_page_says_so(monkeypatch):
    import register

    from fer_lib.judge import sensitivity

    nothing = sensitivity.effects("no such folder")
    monkeypatch.setattr(register.sensitivity, "effects", lambda probes=True: nothing)
    assert "No reading" in register.summary().data
    assert "Not run" in register.measured().data
    assert "Not run" in register.conditions().data
    assert "Not run" in register.forest().data


def test_front_page_scorecard_and_chapters_say_the_same_numbers(tmp_path):
    import chapter
    import front
    import score_page

    score = report.scorecard(tmp_path, roles=(*report.ROLES, "quoted"))
    counts = report.summary(score)
    said = front.standing(score).data
    assert f"<strong>{counts.claims} claims</strong>" in said
    assert (
        f"<strong>{counts.judged} are judged</strong>: 0 by running, {counts.arithmetic} by arithmetic"
        in said
    )
    assert f"{counts.counting} by counting" in said
    assert f"{counts.inconclusive} are inconclusive" in said
    assert "too different to count" not in said  # no run, so none stands apart
    assert f"{counts.waiting} need a run" in said
    assert f"{counts.never} cannot be tested" in said
    assert f"{counts.folds} accuracies of single folds" in said
    papers = [claims.load(paper) for paper in claims.PAPERS]
    assert f">{sum(len(open_places(paper)) for paper in claims.PAPERS)} places</a>" in said
    assert f">{sum(len(paper.inconsistencies) for paper in papers)} things</a>" in said
    parts, table, cards = [], score_page.counts(score).data, front.cards(score, []).data
    for paper in claims.PAPERS:
        mine = report.summary(report.compare(paper, []))
        assert mine == report.summary(score[score["paper"] == paper])
        assert f'data-head="Claims">{mine.claims:,}</td>' in table
        assert f'data-head="Judged">{mine.judged:,}</td>' in table
        sentence = chapter.verdict(paper, score[score["paper"] == paper])
        assert f"{mine.claims} claims</a>, {mine.judged} are judged" in sentence
        assert sum(map(int, re.search(r"(\d+) hold, (\d+) do not", sentence).groups())) == mine.judged
        assert sentence in cards
        sizes = score[(score["paper"] == paper) & (score["role"] == "data") & (score["kind"] == "claim")]
        sizes = sizes["verdict"].isin(DECIDED).sum()
        assert f"{sizes} of the {mine.judged} judged claims are sizes of datasets" in cards
        parts.append(mine)
    assert counts == report.Summary(*(sum(column) for column in zip(*parts, strict=True)))


def test_a_card_names_what_was_run_first_and_never_a_dataset_s_size(tmp_path):
    import front

    score = report.scorecard(tmp_path)
    mine = score[score["paper"] == "lkrnet"].copy()
    named = re.findall(r"#claim-([\w-]+)", front._examples(mine))
    roles = mine.set_index("id")["role"]
    assert len(named) == 2
    assert "data" not in set(roles[named])
    own = mine[(mine["role"] == "method") & (mine["metric"] == "class_accuracy")].index[0]
    mine.loc[own, ["verdict", "how"]] = "reproduced", "running"
    said = front._examples(mine)
    assert f'#claim-{mine.loc[own, "id"]}"' in said
    assert "(by running)" in said


def test_the_front_page_draws_every_paper_and_tells_what_stands_out():
    import front

    drawn = front.chart([]).data
    assert all(claims.load(paper).short_name in drawn for paper in claims.PAPERS)
    assert "0 of" in drawn
    told = front.worth_knowing([]).data
    assert told.count("<li>") == 1  # arithmetic needs no run
    assert "Nothing to show yet" in told
