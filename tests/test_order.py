"""Claims of order: one test of each kind on made-up evidence and on made-up figures, in both directions."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fer_lib import claims
from fer_lib.claims import Claim
from fer_lib.evidence import runs
from fer_lib.judge import answers, convergence, forensics, judgement, order, report

CLASSES = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
N = 1400


def claim(**test):
    """Return a claim of order of paper 1 on FER2013."""
    facts = {"id": "cnn_sift-o-made-up", "paper": "cnn_sift", "place": "Sect. 9", "role": "method"}
    facts |= {"dataset": "FER2013", "protocol": "fer2013_official", "metric": "order", "tolerance": 1.0}
    decided = "arithmetic" if "formula" in test else "running"
    return Claim(**facts, corpus="fer2013", says="One beats another.", decided_by=decided, test=test)


@pytest.fixture
def write(tmp_path):
    """Write runs, one per seed, in which models are right on shares of each class, nested."""

    def make(shares, seeds=2, wrong=1, tables=None, budget="paper"):
        labels, ids = np.arange(N) % 7, np.array([f"img{i:04d}" for i in range(N)])
        for seed in range(seeds):
            with runs.Recorder(
                "cnn_sift", "fer2013", budget, seed, "", tmp_path, fingerprint="f"
            ) as recorder:
                for model, share in shares.items():
                    by_class = np.broadcast_to(share, 7)[labels]
                    right = np.arange(N) // 7 < by_class * N / 7
                    pred = np.where(right, labels, (labels + wrong) % 7)
                    recorder.add_predictions(model, np.eye(7)[pred], labels, ids, "official")
                for name, frame in (tables or {}).items():
                    recorder.add_table(name, pd.DataFrame(frame))
                recorder.info |= {"protocol": "fer2013_official", "classes": CLASSES}
                recorder.commit()
        return runs.find(tmp_path)

    return make


def running(made, **test):
    return order.by_running(claim(**test), made).name


# --- by running -----------------------------------------------------------------------------------


def test_one_beats_the_others(write):
    made = write({"A": 0.80, "B": 0.70, "C": 0.799})
    assert running(made, better=["A"], worse=["B"]) == "holds"
    assert running(made, better=["B"], worse=["A"]) == "does not hold"
    assert running(made, better=["A"], worse=["C"]) == "inconclusive"
    assert running(made, better=["A"], worse=["B", "C"]) == "inconclusive"
    assert running(made, better=["B"], worse=["A", "C"]) == "does not hold"


def test_of_the_class_means(write):
    made = write({"A": [0.9, 0.5, 0.7, 0.7, 0.7, 0.7, 0.7], "B": [0.6, 0.5, 0.7, 0.7, 0.7, 0.7, 0.7]})
    assert running(made, better=["A"], worse=["B"], metric="mean_class_accuracy") == "holds"


def test_a_gain_that_grows_as_data_shrink(write):
    made = write({"S": 0.75, "C": 0.70, "S@n=213": 0.50, "C@n=213": 0.35})
    grows = [[1, "S@n=213"], [-1, "C@n=213"], [-1, "S"], [1, "C"]]
    assert running(made, contrast=grows) == "holds"
    assert running(made, contrast=[[-w, m] for w, m in grows]) == "does not hold"
    assert running(made, contrasts=[grows, [[1, "S"], [-1, "C"]]]) == "holds"
    assert running(made, contrasts=[grows, [[1, "C"], [-1, "S"]]]) == "does not hold"


def test_trainings_on_fewer_images_are_read_from_the_table_of_their_answers(write):
    labels, right = np.arange(N) % 7, np.arange(N) // 7 < 0.9 * N / 7
    table = {"ids": [f"img{i:04d}" for i in range(N)], "label": labels}
    for name, hits in (("S", right), ("C", right & (np.arange(N) % 3 > 0))):
        for draw in range(2):
            table[f"{name} n213 draw{draw}"] = np.where(hits, labels, (labels + 1) % 7)
    made = write({"S": 0.75, "C": 0.70}, tables={"size_answers": table})
    assert running(made, better=["S@n=213"], worse=["C@n=213"]) == "holds"
    assert running(made, better=["C@n=213"], worse=["S@n=213"]) == "does not hold"
    assert answers.scores(made, "S@n=213").mean().ours == pytest.approx(100 * right.mean())
    assert "no learning curve of S@n=213" in convergence.objections(made, ["S@n=213"])[0]
    with pytest.raises(answers.NotComparableError, match="S@n=99"):
        running(made, better=["S@n=99"], worse=["C"])


def test_trainings_on_fewer_images_are_of_people_whatever_folds_there_are(tmp_path):
    ids, labels = np.array([f"img{i}" for i in range(40)]), np.arange(40) % 4
    people = pd.DataFrame({"ids": ids, "label": labels, "subject": [f"s{i % 8}" for i in range(40)]})
    with runs.Recorder("cnn_sift", "jaffe", "full", 0, "", tmp_path, fingerprint="f") as recorder:
        for fold in ("random-fold1", "subject-fold1"):
            recorder.add_samples(people.assign(fold=fold))
        recorder.add_predictions("A@n=10", np.eye(4)[labels], labels, ids, "draw0")
        recorder.commit()
    answered = answers.scores(runs.find(tmp_path), "A@n=10")
    assert answered.n == 40
    assert {*answered.column("group")[0]} == {f"s{i}" for i in range(8)}


def test_hard_classes_gain_most(write):
    made = write({"A": [0.9, 0.7, 0.7, 0.95, 0.7, 0.7, 0.7], "B": [0.6, 0.7, 0.7, 0.94, 0.7, 0.7, 0.7]})
    most = [[1, "A", "Angry"], [-1, "B", "Angry"], [-1, "A", "Happy"], [1, "B", "Happy"]]
    assert running(made, contrast=most) == "holds"
    assert running(made, contrast=[[-w, m, c] for w, m, c in most]) == "does not hold"


def test_the_best_class(write):
    made = write({"A": [0.6, 0.4, 0.6, 0.9, 0.6, 0.6, 0.6]})
    assert running(made, best_class={"model": "A", "class": "Happy"}) == "holds"
    assert running(made, best_class={"model": "A", "class": "Angry"}) == "does not hold"


def test_two_that_are_equal(write):
    made = write({"A": 0.80, "B": 0.80, "C": 0.70})
    assert running(made, equal=["A", "B"], within=1.0) == "holds"
    assert running(made, equal=["A", "C"], within=1.0) == "does not hold"
    assert running(made, equal=["A", "C"], within=10.0) == "inconclusive"


def test_what_a_class_is_taken_for(write):
    made = write({"A": 0.6}, wrong=2)  # anger for fear
    assert running(made, most_confused={"model": "A", "class": "Angry", "with": "Fear"}) == "holds"
    assert running(made, most_confused={"model": "A", "class": "Angry", "with": "Sad"}) == "does not hold"


def test_figures_of_a_table(write):
    table = {"step": ["A", "B", "C"], "ms": [1.0, 2.0, 1.5], "low": [0.9, 1.6, 1.4], "high": [1.1, 2.4, 1.7]}
    made = write({"A": 0.6}, tables={"speed": table})

    def measured(**test):
        return running(made, measured={"table": "speed", "column": "ms", "key": "step"} | test)

    assert measured(smaller=["A"], larger=["B", "C"]) == "holds"
    assert measured(smaller=["B"], larger=["A"]) == "does not hold"
    assert measured(smaller=["C"], larger=["B"]) == "inconclusive"  # their intervals meet
    assert measured(rows=["B"], above=1.5) == "holds"
    assert measured(rows=["A"], above=1.5) == "does not hold"
    with pytest.raises(answers.NotComparableError, match="has no D"):
        measured(smaller=["D"], larger=["A"])


def test_figures_of_a_table_judge_nothing_until_its_networks_have_converged(write):
    made = write({"A": 0.9}, tables={"speed": {"step": ["A", "B"], "ms": [1.0, 2.0]}}, budget="full")
    test = {"table": "speed", "column": "ms", "key": "step", "smaller": ["A"], "larger": ["B"]}
    uncertified = judgement.judge(claim(measured=test | {"networks": ["A"]}), made)
    assert (uncertified.how, uncertified.verdict) == ("", "not comparable")
    assert "no learning curve of A" in uncertified.reason
    assert judgement.judge(claim(measured=test | {"networks": []}), made).verdict == "holds"
    shorter = judgement.judge(claim(measured=test | {"networks": [], "budget": "paper"}), made)
    assert "judged at budget paper alone" in shorter.reason
    assert "--budget paper" in shorter.needs


def test_what_the_runs_do_not_hold_is_no_verdict(write):
    made = write({"A": 0.6})
    for test in ({"better": ["A"], "worse": ["Z"]}, {"best_class": {"model": "A", "class": "Contempt"}}):
        with pytest.raises(answers.NotComparableError):
            running(made, **test)


def test_a_claim_of_order_reaches_the_scorecard(write, monkeypatch):
    paper = claims.load("cnn_sift")
    made_up = claim(better=["A"], worse=["B"])
    monkeypatch.setattr(report.claims, "load", lambda key: replace(paper, claims=(), order=(made_up,)))
    for name in ("decided", "remarks"):  # arithmetic, whose caches would keep the made-up paper
        monkeypatch.setattr(forensics, name, lambda key: {})
    made = write({"A": 0.80, "B": 0.70})
    row = report.compare("cnn_sift", made).set_index("id").loc[made_up.id]
    assert (row["verdict"], row["how"], row["metric"]) == ("holds", "running", "order")
    assert row["model"] == "One beats another."
    assert "A minus B: +10.00" in row["reason"]
    alone = report.compare("cnn_sift", made[:1]).set_index("id").loc[made_up.id]
    assert [one["reason"].endswith(" (one seed)") for one in (row, alone)] == [False, True]
    without = report.compare("cnn_sift", []).set_index("id").loc[made_up.id]
    assert without["verdict"] == "needs data"


# --- by arithmetic --------------------------------------------------------------------------------

TABLE = {"ours": "cnn_sift-t3-cnn_sift_avg", "zhang": "cnn_sift-t3-zhang_z"}  # 99.11 and 96.3


def arithmetic(formula, where=None, **bound):
    return order.by_arithmetic(claim(formula=formula, where=where or TABLE, **bound)).name


@pytest.mark.parametrize(
    "formula, bound, expected",
    [
        ("ours - zhang", {"at_least": 3.0}, "does not hold"),  # 2.81
        ("ours - zhang", {"at_least": 2.8}, "holds"),
        ("ours - zhang", {"at_least": 2.81}, "inconclusive"),  # rounding decides
        ("ours - zhang", {"at_most": 3}, "holds"),
        ("ours - zhang", {"at_most": 2}, "does not hold"),
        ("ours", {"above": "99"}, "holds"),
        ("zhang", {"above": 97}, "does not hold"),
        ("ours - zhang", {"equals": "2.8"}, "holds"),
        ("ours - zhang", {"equals": "3"}, "holds"),
        ("ours - zhang", {"equals": "3.0"}, "does not hold"),
        ("zhang + 2.81", {"equals": "cnn_sift-t3-cnn_sift_avg"}, "holds"),
        ("zhang", {"equals": "cnn_sift-t3-cnn_sift_avg"}, "does not hold"),
        ("100 * (ours - zhang) / (100 - zhang)", {"above": 75}, "holds"),
        ("max(ours, zhang) - mean(ours, zhang)", {"above": 1.39}, "holds"),
        ("min(ours, zhang) - zhang", {"equals": "0"}, "holds"),
    ],
)
def test_formulas_over_printed_figures(formula, bound, expected):
    assert arithmetic(formula, **bound) == expected


def test_counts_are_exact():
    where = {"train": "cnn_sift-s42-fer-train", "test": "cnn_sift-s42-fer-test"}
    assert arithmetic("train + test", where, equals="32298") == "holds"
    assert arithmetic("train + test", where, above=32297.9) == "holds"
