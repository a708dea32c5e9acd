"""The overview pages say what claims and evidence say; runs of several seeds are taken together."""

import re
import sys
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fer_lib import claims
from fer_lib.evidence import runs
from fer_lib.expressions import EXPRESSIONS
from fer_lib.judge import answers, headlines, report
from fer_lib.learn.recipes import Recipe

BOOK = Path(__file__).resolve().parents[1] / "book"
N = 40
LABELS = np.arange(N) % 7


@pytest.fixture(autouse=True)
def helpers(monkeypatch):
    """Import the pages' helpers as the pages do, from their own folder."""
    monkeypatch.syspath_prepend(str(BOOK))
    yield
    for name in ("papers", "measured", "chapter", "about_runs", "markup", "register", "pictures", "corpora"):
        sys.modules.pop(name, None)


@pytest.fixture
def drawn(monkeypatch):
    """What a cell of a page displays."""
    import chapter
    import measured

    shown = []
    for module in (chapter, measured):
        monkeypatch.setattr(module, "display", lambda *some: shown.extend(some))
    return shown


def right(model, seed):
    """Which of the images a network gets right in this test, bool (N,)."""
    return np.random.default_rng([seed, len(model)]).random(N) < (0.7 if model == "Our method" else 0.5)


def recorded(root, seed, budget="full", dataset="fer2013", **tables):
    """Leave the evidence of a run of two networks."""
    ids = np.array([f"image{i:02d}" for i in range(N)])
    with runs.Recorder("lkrnet", dataset, budget, seed, root=root) as recorder:
        frame = pd.DataFrame({"ids": ids, "label": LABELS, "fold": "official", "subject": ""})
        recorder.add_samples(frame.assign(twin_in_training=ids < "image04", conflicting_label=False))
        for model in ("VGG19", "Our method"):
            chosen = np.where(right(model, seed), LABELS, (LABELS + 1) % 7)
            recorder.add_predictions(model, np.eye(7)[chosen], LABELS, ids, "official")
        recorder.info["classes"] = list(EXPRESSIONS[:7])
        rates = (0.02, 0.01, 0.0004)
        recipe = Recipe(3, 64, optimiser="sgd", learning_rates=rates).describe()
        recorder.info |= {"recipe": recipe, "changes": ["3 epochs, not 250"]}
        for name, rows in tables.items():
            recorder.add_table(name, pd.DataFrame(rows))
        return runs.Run(recorder.commit())


@pytest.fixture
def made(tmp_path):
    masks = {"cells": "2×2", "where": "stage 5", "said by a constant": 0.9, "text": "as it is"}
    return [
        recorded(
            tmp_path, seed, masks=[masks | {"mean weight": 0.2 + seed / 10}], energy_gain=[{"gain": seed}]
        )
        for seed in (0, 1)
    ]


def test_accuracies_and_leads_are_those_that_judge(made):
    import measured

    shown = measured.accuracies(made, ["Our method", "no such network"]).data
    assert f"{answers.scores(made, 'Our method').mean().ours:.2f}" in shown
    assert "2 seeds" in shown
    assert "no such" not in shown
    assert f"{100 * np.bincount(LABELS).max() / N:.2f}" in shown  # the commonest expression


def test_leads_are_drawn_beside_what_is_printed(made, drawn):
    import measured

    measured.leads("lkrnet", made, [("Our method", "VGG19"), ("VGG19", "VGG19")])
    caption, figure = drawn
    assert "2 seeds" in caption.data
    gap = np.mean([100 * (right("Our method", s).mean() - right("VGG19", s).mean()) for s in (0, 1)])
    axes = figure.axes[0]
    marks = {m: [x.get_xdata()[0] for x in axes.lines if x.get_marker() == m] for m in "oD"}
    assert np.allclose(marks["o"], [gap, 0])
    assert np.allclose(marks["D"], [3.131, np.nan], atol=0.01, equal_nan=True)  # Sect. 4.3.4
    assert axes.get_yticklabels()[0].get_text() == "LKRNet (full)\nover VGG19"


def test_a_difference_that_is_not_printed_follows_from_its_table(made, drawn):
    import measured

    printed = measured._printed("cnn_sift")
    values = {c.model: c.value for c in claims.load("cnn_sift").claims if c.place == "Table 2"}
    gain = values["CNN-SIFT-AVG"] - values["CNN-ONLY"]
    assert printed["fer2013", "CNN-SIFT-AVG minus CNN-ONLY"] == pytest.approx(gain)
    assert ("fer2013", "S2 minus C2") not in printed
    measured.leads("lkrnet", made, [("VGG19", "Our method")])  # printed nowhere this way round
    assert not drawn[1].legends


def test_few_people_give_no_interval(tmp_path):
    import measured

    run = recorded(tmp_path, 0)
    shown = measured.accuracies([run], ["VGG19"]).data
    assert 'class="interval"' in shown
    samples = pd.read_csv(run.path / "samples.csv")
    samples["subject"] = [f"p{i % 4}" for i in range(N)]
    samples.to_csv(run.path / "samples.csv", index=False)
    answers._answered.cache_clear()
    shown = measured.accuracies([runs.Run(run.path)], ["VGG19"]).data
    assert 'class="interval"' not in shown
    assert f"{answers.scores([run], 'VGG19').mean().ours:.2f}" in shown


@pytest.mark.parametrize("all_images", [None, 28_709])
def test_gains_are_given_at_each_size_and_compared(tmp_path, monkeypatch, all_images):
    import measured
    import papers

    ids, labels = [f"i{k:03}" for k in range(400)], np.arange(400) % 7
    with runs.Recorder("cnn_sift", "fer2013", "full", 0, root=tmp_path) as recorder:
        frame = pd.DataFrame({"ids": ids, "label": labels, "fold": "official", "subject": ""})
        recorder.add_samples(frame)
        for n, wrong in ((213, 200), (1000, 20)):
            for model, errors in (("CNN-SIFT", 0), ("CNN-ONLY", wrong)):
                chosen = np.where(np.arange(400) % 400 < errors, (labels + 1) % 7, labels)
                recorder.add_predictions(f"{model}@n={n}", np.eye(7)[chosen], labels, ids, "official")
        recorder.add_table("sizes", pd.DataFrame({"n": [213, 1000], "model": "CNN-SIFT", "accuracy": 1.0}))
        facts = {}
        if all_images:
            for model in ("CNN-SIFT", "CNN-ONLY"):
                recorder.add_predictions(model, np.eye(7)[labels], labels, ids, "official")
            facts = {"certificates": {"official": {"folds": [{"sizes": {"train": all_images}}]}}}
        recorder.info |= facts
        run = runs.Run(recorder.commit())
    said = papers.gains_by_size([run], "CNN-SIFT", "CNN-ONLY").data
    assert "with 213 images +50.00" in said
    assert "with 1,000 images +5.00" in said
    if all_images:
        assert "with 28,709 images +0.00" in said
        assert (
            "From 213 to 28,709 images it should fall, and it does: with fewer images it is larger by +50"
            in said
        )
        drawn = []
        monkeypatch.setattr(measured.plots, "learning_size", lambda frame: drawn.append(frame))
        measured.sizes([run])
        assert sorted(drawn[0]["n"]) == [213, 1000, all_images]
    else:
        assert (
            "From 213 to 1,000 images it should fall, and it does: with fewer images it is larger by +45"
            in said
        )
    assert "Not run" in papers.gains_by_size([], "CNN-SIFT", "CNN-ONLY").data


@pytest.mark.parametrize("errors", [200, 0, None])
def test_the_control_says_what_it_means_elsewhere(tmp_path, monkeypatch, errors):
    import papers

    if errors is None:
        assert "has not been run" in papers.control_answer([]).data
        return
    monkeypatch.setattr(papers.convergence, "objections", lambda *_: [])
    monkeypatch.setattr(papers.published, "ACCURACY", 99.5)
    ids, labels = [f"i{k:04}" for k in range(4000)], np.arange(4000) % 7
    with runs.Recorder("control", "fer2013", "full", 0, root=tmp_path) as recorder:
        recorder.add_samples(pd.DataFrame({"ids": ids, "label": labels, "fold": "official", "subject": ""}))
        chosen = np.where(np.arange(4000) < errors, (labels + 1) % 7, labels)
        recorder.add_predictions("mini-Xception", np.eye(7)[chosen], labels, ids, "official")
        run = runs.Run(recorder.commit())
    said = papers.control_answer([run]).data
    assert f"{100 - errors / 40:.2f}" in said
    assert ("may fall short by up to" in said) == (errors > 0)
    assert ("is then no explanation" in said) == (errors == 0)


def test_tables_of_the_evidence_give_means_and_ranges_over_seeds(made):
    import measured

    columns = {"Mean weight": ("mean weight", 3), "Uniform (%)": ("said by a constant", 1, 100)}
    shown = measured.evidence(made, "masks", ["cells", "where"], columns | {"Never": ("absent",)}).data
    assert "0.250" in shown
    assert "0.200 to 0.300" in shown
    assert "90.0" in shown
    assert shown.count('class="absent"') == 1
    everything = measured.evidence(made[:1], "masks", ["cells", "where"]).data
    assert "as it is" in everything
    assert " to " not in everything
    assert "Not run" in measured.evidence(made, "unheard of", ["cells"]).data


def test_results_without_questionable_images(made):
    import measured

    shown = measured.without_questionable(made[:1], ["VGG19", "absent"]).data
    assert "36 images" in shown
    assert f"{100 * right('VGG19', 0)[4:].mean():.2f}" in shown


def test_robustness_is_the_loss_at_full_severity(tmp_path, drawn):
    import measured

    rows = [
        {"condition": "low_brightness", "severity": s, "model": model, "n": 40, "accuracy": clear - s / 4}
        for model, clear in (("VGG19", 0.6), ("ResNet", 0.2))
        for s in (0.0, 0.5, 1.0)
    ]
    measured.robustness([recorded(tmp_path, 0, robustness=rows)])
    (axes,) = drawn[1].axes  # ResNet guesses and is left out
    assert [text.get_text() for text in axes.texts] == ["-25.0"]
    assert axes.get_yticklabels()[0].get_text() == "VGG19: 60.0 %"


def test_faces_found_are_bars_by_expression_and_part(tmp_path, drawn):
    import measured

    rows = [
        {"split": split, "class": name, "images": 10, "detected": n, "missed": 10 - n, "rate": n / 10}
        for split, name, n in (("train", "fear", 9), ("train", "anger", 8), ("public_test", "fear", 4))
    ]
    measured.detection([recorded(tmp_path, 0, detection=rows)])
    (axes,) = drawn[1].axes
    assert sorted(bar.get_width() for bar in axes.patches if bar.get_width() > 0) == [40, 80, 90]
    assert axes.get_xlabel() == "Face found (%)"
    assert [text.get_text() for text in drawn[1].legends[0].texts] == ["train", "public test"]


def test_a_page_says_what_its_runs_are_not(tmp_path, monkeypatch):
    import about_runs

    monkeypatch.setattr(about_runs.runs, "current", lambda folder, values: None)
    short = recorded(tmp_path, 0, budget="smoke")
    said = about_runs.banner([short]).data
    assert "judge no claim" in said
    assert "older code" in said
    assert "older-code" in about_runs.run_link(short)
    about_runs._is_current.cache_clear()
    monkeypatch.setattr(about_runs.runs, "current", lambda folder, values: short)
    assert "older" not in about_runs.run_link(short)
    assert about_runs.banner([recorded(tmp_path, 1)]).data == ""
    drawn = about_runs.banner([recorded(tmp_path, 2, dataset="synthetic")]).data
    assert "demonstration" in drawn
    assert "runs.html" in drawn


@pytest.mark.parametrize("paper", claims.PAPERS)
def test_an_overview_counts_as_the_scorecard_does(paper, monkeypatch):
    import chapter

    monkeypatch.setattr(chapter.runs, "find", lambda paper: [])
    score = report.scorecard("no such folder", papers=[paper])
    monkeypatch.setattr(chapter.report, "scorecard", lambda papers: score)
    page = chapter.Overview(paper)
    compared = report.compare(paper, page.runs)
    counts = report.summary(compared)
    for said in (page.glance().data, page.claims().data):
        assert f"{counts.claims} claims</a>, {counts.judged} are judged" in said
    assert page.glance().data.index("Main claim") < page.glance().data.index("are judged")
    shown = page.claims().data
    frame = compared[compared["kind"] == "claim"]
    said = sum(int(n) for n in re.findall(r">(\d+) claims?</a> needs? a run", shown))
    waiting = frame["verdict"] == "needs data"
    assert said == waiting.sum()
    assert shown.count("<tr") == (~waiting).sum() + shown.count("<table")
    doubts = page.doubts().data
    assert doubts.count("<tr") == len(page.paper.inconsistencies) + doubts.count("<table")
    assert "Not run yet" in page.ran().data
    assert f"fer run {paper} synthetic" in page.rerun().data


def test_the_main_claim_s_verdict_is_the_scorecard_s():
    import chapter
    import pictures

    score = report.scorecard("no such folder")
    (row, *_) = pictures.lines(headlines.overall("cspp", []))
    found = score.loc[score["id"] == row["claim"].id, "verdict"].item()
    assert f">{found}</span>" in chapter.main_verdict([row], score)
    (row, *_) = pictures.lines(headlines.overall("lkrnet", []))
    assert row["mean"]
    assert "7 classes, one by one" in chapter.main_verdict([row], score)
    assert chapter.main_verdict([], score) == ""


def test_an_overview_says_how_its_networks_were_trained(tmp_path, monkeypatch):
    import chapter

    made = [recorded(tmp_path, seed) for seed in (0, 1)]
    monkeypatch.setattr(chapter.runs, "find", lambda paper: made)
    table = chapter.Overview("lkrnet").ran().data
    assert table.count("<tr") == 2  # the head, and one line for both seeds
    for said in ("means of 2 seeds", ">3<", ">64<", "SGD", "0.02, at the end 0.0004", "3 epochs, not 250"):
        assert said in table


def test_networks_that_learnt_nothing_are_named(tmp_path):
    import about_runs
    import measured

    run = recorded(tmp_path, 0)
    ends = {"VGG19": (0.2, 0.21), "Our method": (0.2, 0.9)}
    rows = [
        {"model": model, "fold": "0", "epoch": epoch, "train_loss": 1.0, "train_accuracy": accuracy}
        | {"validation_accuracy": 0.5, "test_accuracy": 0.5}
        for model, accuracies in ends.items()
        for epoch, accuracy in enumerate(accuracies, 1)
    ]
    pd.DataFrame(rows).to_csv(run.path / "curves.csv", index=False)
    said = measured.at_chance([runs.Run(run.path)])
    assert "VGG19 (21 %) learnt nothing" in said
    assert "LKRNet" not in said.replace("LKRNet on", "")
    folded = measured.uncertified([runs.Run(run.path)])
    assert "2 of 2 networks have not converged" in folded
    assert "LKRNet (full): 2 epochs, and 10 at least are asked for" in folded
    rows.append(rows[0] | {"model": "VGG19@n=20"})
    pd.DataFrame(rows).to_csv(run.path / "curves.csv", index=False)
    certified = about_runs.network_certificates(runs.Run(run.path))
    assert [one.model for one in certified] == ["VGG19", "Our method"]  # the page of runs counts the same


@pytest.mark.parametrize("paper", claims.PAPERS)
def test_an_overview_draws_its_network_and_what_is_claimed(paper, monkeypatch):
    import chapter

    monkeypatch.setattr(chapter.runs, "find", lambda paper: [])
    page = chapter.Overview(paper)
    drawn = page.network().data
    assert "<svg" in drawn
    for entry in page.paper.ambiguities:
        if "layers" in entry:  # a pattern that fits no layer would leave the guess undrawn
            assert f'<a href="ambiguities.html#{paper}-{entry["id"]}">' in drawn
            assert escape(entry["problem"]) in drawn, entry["id"]
    chart = page.chart().data
    assert chart.count('class="claimed"') == len(page.overall) > 0
    assert "not run" in chart
    assert "●" not in chart


def test_thumbnails_are_coloured_by_kind_of_layer_and_differ():
    import pictures

    made = [pictures.thumbnail(paper) for paper in claims.PAPERS]
    for drawn in made:
        assert drawn.count("<rect") == drawn.count('style="fill:')
        assert pictures.LAYERS["conv"] in drawn or pictures.LAYERS["attention"] in drawn
        assert pictures.INPUT in drawn
    assert len({tuple(re.findall("fill:(#\\w+)", drawn)) for drawn in made}) == len(made)
    assert pictures.key().count("■") == len(pictures.LAYERS) + 1


def test_a_chart_tells_certified_runs_from_others(tmp_path):
    import pictures

    made = [recorded(tmp_path, seed, budget="full") for seed in (0, 1)]
    found = pictures.lines(headlines.overall("lkrnet", made))
    (row,) = [row for row in found if "FER2013" in row["label"]]
    assert row["certified"] is False  # it left no learning curves
    assert row["claimed"] == pytest.approx(np.mean([65, 75, 55, 90, 61, 84, 70]), abs=0.01)
    found = [answers.scores(made, "Our method").of_class(label).mean().ours for label in range(7)]
    assert row["ours"] == pytest.approx(np.mean(found))
    assert "○ ours, not converged" in pictures.chart([row], "a title").data


def test_curves_confusion_and_features_are_of_the_best_run(tmp_path, drawn, monkeypatch):
    import chapter

    runs_of = [recorded(tmp_path, 0, dataset="synthetic"), recorded(tmp_path, 1)]
    monkeypatch.setattr(chapter.runs, "find", lambda paper: runs_of)
    page = chapter.Overview("lkrnet")
    assert "Not run yet" in page.curves(["VGG19"]).data
    assert "Not run yet" in page.features().data
    assert page.confusion("VGG19") is None
    assert "FER2013" in drawn[0].data
    assert len(drawn[1].axes[0].texts) >= 49
    cspp = chapter.Overview("cspp")
    monkeypatch.setattr(cspp, "runs", [])
    del drawn[:]
    assert cspp.confusion("C-SPP") is None
    assert "as printed" in drawn[0].data


def test_heads_leave_symbols_alone_and_counts_have_separators():
    import measured

    assert [measured._head(text) for text in ("λ", "mean weight", "SIFT words")] == [
        "λ",
        "Mean weight",
        "SIFT words",
    ]
    assert measured._over_seeds(pd.Series([12345.0]), 0) == "12,345"


def test_real_runs_and_drawn_faces_never_share_a_table(tmp_path):
    import about_runs
    import corpora
    import measured

    made = [recorded(tmp_path, 0), recorded(tmp_path, 1, dataset="synthetic")]
    shown = measured.accuracies(made, ["VGG19"]).data
    assert shown.count("<table") == 1
    assert "Drawn faces" not in shown
    assert "Drawn faces, a demonstration" in measured.accuracies(made[1:], ["VGG19"]).data
    for run in made:
        kept = {"n_folds": 1, "tested": N, "every_sample_tested_once": True, "subjects_shared": None}
        run.info["certificates"] = {"official": kept | {"twins_crossing": 4, "index_sha256": "ab" * 32}}
    for shown in (about_runs.apart(made, about_runs._made).data, corpora.certificates(made).data):
        real, drawn = shown.split("Drawn faces, a demonstration")
        assert real.count("<table") == drawn.count("<table") == 1
        assert "FER2013" in real
        assert "Synthetic" in drawn
    assert "Not run" in corpora.certificates([]).data


def test_the_campaign_is_listed_with_what_is_done(tmp_path, monkeypatch):
    import about_runs

    campaign = "- {paper: lkrnet, dataset: fer2013, budget: full, seeds: [0, 1], knobs: {lr: 0.01}}"
    for name, text in {"campaign.yaml": campaign, "pyproject.toml": "", "notebooks/lkrnet.ipynb": ""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    assert [(one["seed"], one["knobs"], one["made"]) for one in about_runs.planned()] == [
        (0, "lr=0.01", None),
        (1, "lr=0.01", None),
    ]
    folder = tmp_path / "results/lkrnet/fer2013/full/seed1,lr=0.01"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}", "utf-8")
    assert about_runs.planned()[1]["made"].path == folder


def test_the_ladder_counts_what_cspp_claims_in_images():
    import papers

    (axes,) = papers.ladder().axes
    names = " ".join(label.get_text() for label in axes.get_yticklabels())
    notes = "\n".join(text.get_text() for text in axes.texts)
    assert "C-SPP\n927,206 parameters" in names
    assert all(text in notes for text in ("903 of 927", "+18 from Plain7CNN", "−7 from Plain7CNN"))
    assert notes.count("about ") == 3
    assert axes.lines[-2].get_xdata()[0] == 97.41


def test_both_searches_of_cnn3d_stand_side_by_side():
    import papers

    shown = papers.chosen().data
    assert shown.count("<tr") == len(papers.OPTIONS) + 1
    assert "Lookahead + Adam" in shown


def test_a_search_says_on_what_it_searched(tmp_path):
    import papers

    trial = {"state": "complete", "accuracy": 0.5, "worker": "worker1", "corpus": "ckplus", "budget": "full"}
    shown = papers.searches([recorded(tmp_path, 0, search=[trial, trial | {"state": "lost"}])]).data
    assert "searched on: CK+, budget full" in shown
    assert "50.0" in shown
    idle = papers.searches([recorded(tmp_path, 1, search=[trial | {"accuracy": 0.15}])]).data
    assert "<table" not in idle
    assert "best trial 15.0 %" in idle


def test_answers_on_random_folds_are_held_against_the_same_person(tmp_path):
    import papers

    ids, folds = np.array(["a1", "a2", "a3", "b1", "b2", "b3"]), ["f1", "f2", "f2"] * 2
    labels, answers_ = np.array([0, 0, 1, 0, 1, 1]), np.array([1, 1, 0, 1, 0, 0])
    with runs.Recorder("cspp", "cmu_faces", "full", 0, root=tmp_path) as recorder:
        who = [name[0] for name in ids]
        recorder.add_samples(pd.DataFrame({"ids": ids, "label": labels, "fold": folds, "subject": who}))
        for fold in ("f1", "f2"):
            here = np.array(folds) == fold
            chosen = np.eye(7)[answers_[here]]
            recorder.add_predictions("C-SPP@random", chosen, labels[here], ids[here], fold)
        run = runs.Run(recorder.commit())
    # The shares of the labels are 1/2, 1, 0, 0, 0, 0; where the answer is the other class, one less that.
    assert "25 % of the training images" in papers.own_people([run]).data
    assert "75 % show the one that the network answers" in papers.own_people([run]).data
    assert papers.own_people([]) is None
