from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fer_lib import claims
from fer_lib.data import splits
from fer_lib.errors import FerError
from fer_lib.evidence import runs
from fer_lib.judge import answers, report, significance
from fer_lib.learn import metrics
from fer_lib.show import study

FER = "fer2013_official"
CLASSES = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]


@pytest.fixture
def record(tmp_path):
    """Write evidence in which each model is right on a given share of the samples."""

    def write(
        shares,
        dataset="fer2013",
        budget="paper",
        seed=0,
        variant="",
        protocol=FER,
        n=3589,
        paper="cnn_sift",
        subjects=None,
        fold=None,
        order=None,
    ):
        rng = np.random.default_rng(0)
        labels = np.arange(n) % 7
        ids = np.array([f"img{i:05d}" for i in range(n)])
        fold = np.full(n, "official") if fold is None else fold
        order = np.arange(n) if order is None else order
        with runs.Recorder(paper, dataset, budget, seed, variant, tmp_path, fingerprint="abc") as recorder:
            for model, share in shares.items():
                # A model is right on the first part of one fixed shuffle, so that models are nested.
                right = np.argsort(rng.permutation(n)) < round(share * n)
                rng = np.random.default_rng(0)
                pred = np.where(right, labels, (labels + 1) % 7)
                recorder.add_predictions(
                    model, np.eye(7)[pred][order], labels[order], ids[order], fold[order]
                )
            samples = pd.DataFrame({"ids": ids, "label": labels, "fold": fold})
            samples["subject"] = "" if subjects is None else subjects
            samples["twin_in_training"] = np.arange(n) < 288
            samples["conflicting_label"] = np.arange(n) < 15
            recorder.add_samples(samples)
            recorder.info |= {"protocol": protocol, "classes": CLASSES}
            recorder.commit()
        return runs.find(tmp_path, paper=paper)

    return write


# --- the rule -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ours, low, high, tolerance, n_claim, expected",
    [
        (72.0, 70.5, 73.5, 0.0, None, "reproduced"),  # inside our interval
        (70.0, 69.8, 70.2, 0.0, None, "not reached"),
        (70.0, 69.8, 70.2, 0.0, 3589, "not reached"),  # the claim's own interval is 70.68 to 73.61
        (70.0, 69.5, 70.9, 0.0, 3589, "reproduced"),  # the two intervals meet
        (76.0, 75.0, 77.0, 1.0, 3589, "exceeded"),
        (71.2, 71.1, 71.3, 1.0, None, "reproduced"),  # within the tolerance
        (73.3, 73.2, 73.4, 1.0, None, "exceeded"),
    ],
)
def test_verdict(ours, low, high, tolerance, n_claim, expected):
    found, reason = report.verdict(72.17, ours, low, high, tolerance, n_claim)
    assert found == expected
    assert f"{ours:.2f}" in reason
    assert "72.17" in reason


def test_a_gap_of_exactly_the_tolerance_is_within_it():
    assert report.verdict(73.51, 72.51, 72.51, 72.51, 1.0)[0] == "reproduced"


def test_verdict_says_how_far_off():
    assert report.verdict(72.17, 60.0, 59.0, 61.0, 1.0, 3589)[1].startswith("12.17 points below the claim")


# --- claims beside runs -------------------------------------------------------------------------


def test_scorecard_without_evidence_names_the_data_each_claim_needs(tmp_path):
    card = report.scorecard(tmp_path)
    assert tuple(card.columns) == report.COLUMNS
    assert set(card["paper"]) == set(claims.PAPERS)
    assert set(card["verdict"]) == {"needs data", "not comparable"}
    needs = card[card["verdict"] == "needs data"]
    assert (needs["reason"].str.startswith("needs data: ")).all()
    reason = needs.set_index("id")["reason"]
    assert reason["cnn3d-t6-ours"] == "needs data: CK+ (leave one subject out)"
    assert not needs["reason"].str.contains(r"\(not stated").any()
    other = card.set_index("id").loc["multimodal-t2-ref19-average"]
    assert (other["verdict"], other["reason"]) == ("not comparable", "the network of [19] is not built here")
    roles = claims.frame().set_index("id")["role"]
    assert set(roles[card["id"]]) == set(report.JUDGED)
    assert card["ours"].isna().all()


def test_roles_left_out_can_be_asked_for(tmp_path):
    card = report.scorecard(tmp_path, roles=("quoted", "data"))
    assert set(card["verdict"]) == {"not comparable"}
    reason = card.set_index("id")["reason"]
    assert reason["cnn_sift-t2-dnnrl"] == "quoted from other work ([20])"
    assert reason["cnn_sift-s42-fer-test"].startswith("a count")


def test_run_at_budget_paper_is_judged(record, tmp_path):
    record({"CNN-ONLY": 0.7250, "CNN-SIFT": 0.60, "CNN-SIFT-AVG": 0.80})
    card = report.scorecard(tmp_path).set_index("id")
    assert card.loc["cnn_sift-t2-cnn_only", "verdict"] == "reproduced"
    assert card.loc["cnn_sift-t2-cnn_sift", "verdict"] == "not reached"
    assert card.loc["cnn_sift-t2-cnn_sift_avg", "verdict"] == "exceeded"
    row = card.loc["cnn_sift-t2-cnn_only"]
    assert row["ours"] == pytest.approx(72.50, abs=0.02)
    low, high = metrics.interval(np.arange(3589) < round(0.725 * 3589))
    assert (row["low"], row["high"]) == pytest.approx((100 * low, 100 * high), abs=0.3)
    assert row["n"] == 3589
    assert row["run"] == "cnn_sift/fer2013/paper/seed0"
    assert row["hardware"]
    # CK+ and JAFFE have no run.
    assert card.loc["cnn_sift-t3-cnn_only", "verdict"] == "needs data"


def test_gain_of_the_average_is_paired_and_against_both_others(record):
    found = report.compare("cnn_sift", record({"CNN-ONLY": 0.70, "CNN-SIFT": 0.71, "CNN-SIFT-AVG": 0.715}))
    row = found.set_index("id").loc["cnn_sift-s43-fer-gain-avg"]
    assert row["ours"] == pytest.approx(1.0, abs=0.05)
    # Nested right answers: the paired interval is far narrower than that of two independent accuracies.
    assert row["high"] - row["low"] < 1.0
    assert row["verdict"] == "reproduced"
    margin = found.set_index("id").loc["cnn_sift-s43-jaffe-gain-low"]
    assert margin["verdict"] == "not comparable"
    assert "other works" in margin["reason"]


@pytest.mark.parametrize("budget", ["short", "smoke"])
def test_other_budgets_show_figures_but_are_not_judged(record, tmp_path, budget):
    record({"CNN-ONLY": 0.55}, budget=budget)
    card = report.scorecard(tmp_path).set_index("id")
    row = card.loc["cnn_sift-t2-cnn_only"]
    assert row["verdict"] == "not comparable"
    assert budget in row["reason"]
    assert row["ours"] == pytest.approx(55, abs=0.1)
    other = card.loc["cnn_sift-t2-cnn_sift"]
    assert other["verdict"] == "not comparable"
    assert "CNN-SIFT" in other["reason"]


def test_highest_budget_counts(record, tmp_path):
    record({"CNN-ONLY": 0.55}, budget="short")
    record({"CNN-ONLY": 0.72}, budget="paper")
    card = report.scorecard(tmp_path)
    rows = card[card["id"] == "cnn_sift-t2-cnn_only"]
    assert rows["verdict"].tolist() == ["reproduced"]
    both = report.compare("cnn_sift", runs.find(tmp_path))
    assert len(both[both["id"] == "cnn_sift-t2-cnn_only"]) == 2


def test_synthetic_data_are_never_compared(record, tmp_path):
    record({"CNN-ONLY": 0.7217}, dataset="synthetic")
    card = report.scorecard(tmp_path)
    assert card["ours"].isna().all()
    assert "reproduced" not in set(card["verdict"])


def test_another_protocol_is_not_comparable(record):
    found = report.compare("cnn_sift", record({"CNN-ONLY": 0.7217}, protocol="something_else"))
    row = found.set_index("id").loc["cnn_sift-t2-cnn_only"]
    assert row["verdict"] == "not comparable"
    assert "something_else" in row["reason"]


def test_variants_stay_out_of_the_scorecard(record, tmp_path):
    record({"CNN-ONLY": 0.7217}, variant="augment=mild")
    assert "reproduced" not in set(report.scorecard(tmp_path)["verdict"])
    asked = report.scorecard(tmp_path, variant="augment=mild").set_index("id")
    assert asked.loc["cnn_sift-t2-cnn_only", "verdict"] == "reproduced"


def test_seeds_are_averaged_whatever_the_order_of_their_samples(record):
    record({"CNN-ONLY": 0.70}, seed=0)
    shuffled = np.random.default_rng(5).permutation(3589)
    found = report.compare("cnn_sift", record({"CNN-ONLY": 0.74}, seed=1, order=shuffled))
    row = found.set_index("id").loc["cnn_sift-t2-cnn_only"]
    assert row["ours"] == pytest.approx(72, abs=0.05)
    assert row["seeds"] == 2
    assert row["n"] == 3589
    assert row["low"] < 70
    assert row["high"] > 74
    assert row["run"] == "cnn_sift/fer2013/paper/seed0, cnn_sift/fer2013/paper/seed1"


def test_class_accuracy_and_subjects(record):
    n = 210
    subjects = np.array([f"s{i % 10}" for i in range(n)])
    options = {"dataset": "jaffe", "protocol": "jaffe_7class_5fold", "n": n, "subjects": subjects}
    evidence = record({"CNN-SIFT-AVG": 1.0}, **options)
    found = report.compare("cnn_sift", evidence).set_index("id")
    happy = found.loc["cnn_sift-s43-jaffe-happy"]
    assert (happy["ours"], happy["n"], happy["verdict"]) == (100, 30, "reproduced")
    overall = found.loc["cnn_sift-t4-cnn_sift_avg"]
    assert overall["verdict"] == "reproduced"
    # 210 of 210 is no certainty.
    assert (overall["low"], overall["high"]) == pytest.approx((98.2, 100), abs=0.1)


def test_interval_is_over_subjects_where_there_are_any(record):
    n = 210
    options = {"dataset": "jaffe", "protocol": "jaffe_7class_5fold", "n": n}
    share = 0.8
    by_sample = report.compare("cnn_sift", record({"CNN-ONLY": share}, **options)).set_index("id")
    # One subject holds all wrong answers of the fixed shuffle, nine hold right ones only.
    right = np.argsort(np.random.default_rng(0).permutation(n)) < round(share * n)
    subjects = np.where(right, [f"s{i % 9}" for i in range(n)], "s9")
    grouped = report.compare("cnn_sift", record({"CNN-ONLY": share}, **options, subjects=subjects))
    grouped = grouped.set_index("id")
    name = "cnn_sift-t4-cnn_only"
    assert grouped.loc[name, "ours"] == by_sample.loc[name, "ours"]
    width = {k: f.loc[name, "high"] - f.loc[name, "low"] for k, f in (("s", by_sample), ("g", grouped))}
    assert width["g"] > 2 * width["s"]


def test_class_means_and_fold_means(record):
    n = 100
    evidence = record({"OURS": 0.5}, paper="multimodal", protocol="fer2013_processed", n=n)
    stored = evidence[0].predictions("OURS")
    expected = metrics.mean_class_accuracy(stored["labels"], stored["probabilities"].argmax(1), 7)
    found = report.compare("multimodal", evidence).set_index("id")
    assert found.loc["multimodal-s42-fer-mean", "ours"] == pytest.approx(100 * expected)
    assert found.loc["multimodal-s42-fer-overall", "ours"] == pytest.approx(50)
    assert found.loc["multimodal-s42-fer-mean", "n"] == n

    fold = np.where(np.arange(n) < 80, "0", "1")
    claim = {"metric": "mean_fold_accuracy", "model": "c1", "against": None}
    evidence = record({"c1": 0.5}, paper="cnn3d", dataset="ckplus", protocol="p", n=n, fold=fold)
    rows = evidence[0].predictions("c1")
    right = rows["probabilities"].argmax(1) == rows["labels"]
    mean = np.mean([right[rows["fold"] == name].mean() for name in ("0", "1")])
    assert answers.measure(claim, evidence).ours == pytest.approx(100 * mean)


def test_what_predictions_cannot_tell_is_not_comparable(tmp_path):
    reason = report.scorecard(tmp_path).set_index("id")["reason"]
    assert "which it is" in reason["multimodal-f7-a-occlusion_eye-ours"]
    assert "one by one" in reason["cnn3d-t4-c1-fold3"]
    assert "no figure is printed" in reason["multimodal-f7-c-occlusion_mouth_and_eye-vgg"]


# --- subsets ------------------------------------------------------------------------------------


def test_subsets(record):
    run = record({"CNN-ONLY": 0.7})[0]
    table = report.subsets(run, "CNN-ONLY")
    assert table["n"].tolist() == [3589, 3589 - 288, 3589 - 15]
    stored = run.predictions("CNN-ONLY")
    right = stored["probabilities"].argmax(1) == stored["labels"]
    assert table["accuracy"].tolist() == pytest.approx(
        [100 * right.mean(), 100 * right[288:].mean(), 100 * right[15:].mean()]
    )
    assert (table["low"] < table["accuracy"]).all()
    assert (table["accuracy"] < table["high"]).all()


def test_subsets_need_the_flags(record):
    run = record({"CNN-ONLY": 0.7}, n=50)[0]
    samples = run.samples().drop(columns="twin_in_training")
    samples.to_csv(run.path / "samples.csv", index=False)
    with pytest.raises(FerError, match="twin_in_training"):
        report.subsets(run, "CNN-ONLY")
    samples.head(20).to_csv(run.path / "samples.csv", index=False)
    with pytest.raises(FerError, match="misses samples of CNN-ONLY"):
        report.subsets(run, "CNN-ONLY")
    with pytest.raises(FerError, match="no predictions of a model called C9"):
        report.subsets(run, "C9")


def test_repeated_cross_validation_counts_each_sample_once(record):
    n = 60
    evidence = record({"CNN-ONLY": 0.7}, n=n)
    run = evidence[0]
    stored = np.load(run.path / "predictions" / "CNN-ONLY.npz")
    rows = {name: np.concatenate([stored[name]] * 10) for name in stored.files}
    rows["fold"] = np.repeat([f"repeat{i}" for i in range(10)], n)
    np.savez(run.path / "predictions" / "CNN-ONLY.npz", **rows)
    once = report.subsets(run, "CNN-ONLY").iloc[0]
    assert once["n"] == n
    right = stored["probabilities"].argmax(1) == stored["labels"]
    # Ten repeats of the same answers do not narrow the interval.
    low, high = metrics.interval(right)
    assert (once["low"], once["high"]) == pytest.approx((100 * low, 100 * high), abs=1e-9)


def test_a_claim_across_corpora_is_answered_by_the_run_of_the_corpus_that_was_trained_on(record):
    share = {"C-SPP": 0.97, "C-SPP@cross_ck_to_jaffe": 0.4}
    made = record(share, dataset="ckplus", protocol="ckplus_6class_8fold_si", n=183, paper="cspp")
    table = report.compare("cspp", made).set_index("id")
    assert table.loc["cspp-t5-cspp-jaffe", "ours"] == pytest.approx(40, abs=0.5)
    assert table.loc["cspp-t5-cspp-jaffe", "verdict"] == "reproduced"
    assert table.loc["cspp-t3-ck-average", "ours"] == pytest.approx(97, abs=0.5)
    assert table.loc["cspp-t5-cspp-mmi", "ours"] != table.loc["cspp-t5-cspp-mmi", "ours"]
    assert table.loc["cspp-t3-jaffe-average", "verdict"] == "needs data"


def test_a_claim_under_a_further_protocol_is_answered_by_the_model_that_names_it(record):
    share = {"c1": 0.9, "c1@ckplus_7class_loso": 0.6}
    made = record(share, dataset="ckplus", protocol="ckplus_7class_10fold_si", n=327, paper="cnn3d")
    table = report.compare("cnn3d", made).set_index("id")
    assert table.loc["cnn3d-t6-ours", "ours"] == pytest.approx(60, abs=0.5)
    assert table.loc["cnn3d-t7-ours", "ours"] == pytest.approx(90, abs=0.5)


def test_a_claim_without_a_run_says_what_would_answer_it(tmp_path):
    card = report.scorecard(tmp_path).set_index("id")
    assert card.loc["cspp-t3-ck-average", "needs"] == "fer run cspp ckplus --budget paper"
    assert card.loc["cspp-t5-cspp-jaffe", "needs"] == "fer run cspp ckplus --budget paper"  # trained there
    assert card.loc["cnn3d-t5-c4-average", "needs"] == "fer run cnn3d oulu_casia --budget paper -p oulu_n=400"
    assert card.loc["cnn3d-t4-c1-fold3", "needs"] == ""
    assert card.loc["multimodal-f7-a-occlusion_eye-ours", "needs"] == ""


def test_what_a_short_run_shows_needs_one_at_budget_paper_still(record, tmp_path):
    record({"CNN-ONLY": 0.55}, budget="short")
    row = report.scorecard(tmp_path).set_index("id").loc["cnn_sift-t2-cnn_only"]
    assert row["needs"] == "fer run cnn_sift fer2013 --budget paper"
    record({"CNN-ONLY": 0.55}, budget="paper")
    assert report.scorecard(tmp_path).set_index("id").loc["cnn_sift-t2-cnn_only", "needs"] == ""


# --- other protocols ----------------------------------------------------------------------------


def test_a_run_with_the_parameters_of_another_protocol_answers_the_claims_of_that(record, tmp_path):
    options = {"dataset": "oulu_casia", "paper": "cnn3d"}
    record({"c2": 0.84}, **options, protocol="oulu_6class_10fold_480", n=480)
    record({"c2": 0.70}, **options, protocol="oulu_6class_10fold_400", n=400, variant="oulu_n=400")
    record({"c2": 0.10}, **options, protocol="oulu_6class_10fold_480", n=480, variant="bn_position=after")
    card = report.scorecard(tmp_path).set_index("id")
    assert card.loc["cnn3d-t5-c2-average", "ours"] == pytest.approx(70)
    assert card.loc["cnn3d-t8-ours", "ours"] == pytest.approx(84, abs=0.2)


def assigned(paper):
    """Return the source of what a notebook assigns first to each target, such as ``loso``."""
    import ast
    import json

    path = Path(__file__).resolve().parents[1] / f"notebooks/{paper}.ipynb"
    found = {}
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.Assign):
                    found.setdefault(ast.unparse(node.targets[0]), ast.unparse(node.value))
    return found


def test_leaving_one_out_as_the_notebook_stores_it_answers_its_claim(tmp_path):
    from fer_lib.data.datasets import synthetic

    corpus = synthetic.generate(n_subjects=4, per_expression=1, size=16)
    source, names = assigned("cnn3d"), {"dataset": "ckplus", "oulu_n": 480}
    loso = eval(source["loso"], {}, names)
    protocol = eval(source["protocol_of"], {}, names)["ckplus"]
    best = eval(source["(MODELS, pretrained)"], {}, names)[0][0]  # the one that is tested both ways
    folds = {"subject": splits.subject_kfold(corpus, 2, 0), loso: splits.leave_one_subject_out(corpus)}
    right = np.eye(len(corpus.classes))[corpus.labels]
    with runs.Recorder("cnn3d", "ckplus", "paper", 0, "", tmp_path, fingerprint="f") as recorder:
        results = study.Results(corpus, recorder, folds)
        for name, made in folds.items():
            # With people left out one expression is never recognised, with folds of people every one.
            lost = np.where(corpus.labels[:, None] == 0, np.roll(right, 1, axis=1), right)
            for fold in made:
                results.add(name, fold, {best: (lost if name == loso else right)[fold.test]})
        recorder.info |= {"protocol": protocol, "classes": list(corpus.classes)}
        recorder.commit()
    table = report.compare("cnn3d", runs.find(tmp_path)).set_index("id")
    assert table.loc["cnn3d-t6-ours", "ours"] == pytest.approx(87.5)
    assert table.loc["cnn3d-t6-ours", "verdict"] == "not reached"
    assert table.loc["cnn3d-t6-ours", "n"] == len(corpus)
    assert table.loc["cnn3d-t7-ours", "verdict"] == "reproduced"


# --- p-values, shares of errors -----------------------------------------------------------------


@pytest.fixture
def ten_folds(record):
    def write(better, worse, **options):
        """Write a run in which two models reach given accuracies on ten folds of a hundred samples."""
        n = 1000
        fold = np.array([f"fold{i // 100}" for i in range(n)])
        (run,) = record({"c1": 1.0, "c2": 1.0}, dataset="ckplus", paper="cnn3d", n=n, fold=fold, **options)
        for model, shares in (("c1", better), ("c2", worse)):
            path = run.path / "predictions" / f"{model}.npz"
            stored = dict(np.load(path))
            hits = np.concatenate([np.arange(100) < share for share in shares])
            pred = np.where(hits, stored["labels"], (stored["labels"] + 1) % 7)
            np.savez(path, **stored | {"probabilities": np.eye(7, dtype=np.float16)[pred]})
        return run

    return write


def test_a_p_value_is_answered_from_the_runs_own_folds(ten_folds):
    rng = np.random.default_rng(1)
    worse = rng.integers(60, 80, 10)
    better = worse + rng.integers(1, 12, 10)
    run = ten_folds(better, worse, protocol="ckplus_7class_10fold_si")
    table = report.compare("cnn3d", [run]).set_index("id")
    row = table.loc["cnn3d-t4-c2-pvalue"]
    expected = significance.p_values(better / 100, worse / 100)
    assert row["ours"] == pytest.approx(expected["one_sided"], rel=1e-6)
    assert row["n"] == 10
    assert row["verdict"] == "reproduced"
    assert f"{expected['wilcoxon']:.2g} (Wilcoxon" in row["beside"]
    assert "0.00057 (paired t, one-sided)" in row["beside"]  # the printed folds, whatever the run
    assert table.loc["cnn3d-t4-c3-pvalue", "reason"].endswith("called c3")


def test_without_a_lead_the_significance_is_not_reached(ten_folds):
    shares = np.arange(60, 70)
    run = ten_folds(shares, shares[::-1], protocol="ckplus_7class_10fold_si")
    row = report.compare("cnn3d", [run]).set_index("id").loc["cnn3d-t4-c2-pvalue"]
    assert row["verdict"] == "not reached"


def test_without_a_run_a_p_value_needs_data_and_the_printed_folds_speak(tmp_path):
    row = report.scorecard(tmp_path).set_index("id").loc["cnn3d-t5-c1-pvalue"]
    assert row["verdict"] == "needs data"
    assert "0.072 (paired t, two-sided)" in row["beside"]


@pytest.mark.parametrize(
    "ours, name", [(0.01, "reproduced"), (0.05, "not reached"), (0.2, "not reached"), (0.0, "reproduced")]
)
def test_conclusion_of_a_significant_claim(ours, name):
    assert report.conclusion(0.0365, ours, 10)[0] == name
    assert report.conclusion(0.2, ours, 10)[0] == ("exceeded" if ours < 0.05 else "reproduced")


def test_share_of_errors_saved(record):
    options = {"dataset": "ckplus", "paper": "cspp", "protocol": "ckplus_6class_8fold_si", "n": 1000}
    made = record({"Benchmark": 0.80, "Plain7CNN": 0.83}, **options)
    row = report.compare("cspp", made).set_index("id").loc["cspp-s42-plain7-error-reduction"]
    assert row["ours"] == pytest.approx(15)  # 30 of 200 errors
    assert row["low"] < 15 < row["high"]
    assert row["verdict"] == "reproduced"
    made = record({"Benchmark": 0.50, "Plain7CNN": 0.90}, **options)
    row = report.compare("cspp", made).set_index("id").loc["cspp-s42-plain7-error-reduction"]
    assert (row["ours"], row["verdict"]) == (pytest.approx(80), "exceeded")


# --- what stands beside -------------------------------------------------------------------------


def test_a_confidence_stands_beside_the_accuracy_under_the_same_interference(record):
    (run,) = record({"OURS": 0.5}, paper="multimodal", protocol="fer2013_processed", budget="short")
    table = pd.DataFrame(
        {
            "condition": ["occlusion_eye"] * 3,
            "severity": [0.0, 0.5, 1.0],
            "model": "OURS",
            "n": 732,
            "accuracy": [0.5, 0.4, 0.3],
            "low": [0.45, 0.35, 0.25],
            "high": [0.55, 0.45, 0.35],
        }
    )
    table.to_csv(run.path / "robustness.csv", index=False)
    rows = report.compare("multimodal", [run]).set_index("id")["beside"]
    assert "right in 30.0 % [25.0, 35.0]" in rows["multimodal-f7-a-occlusion_eye-ours"]
    assert "right in 50.0 % [45.0, 55.0]" in rows["multimodal-f7-a-original-ours"]
    assert rows["multimodal-f7-a-occlusion_mouth-ours"] == ""
    assert rows["multimodal-f7-a-occlusion_eye-vgg"] == ""


def test_a_figure_that_cannot_be_says_so(tmp_path):
    said = report.scorecard(tmp_path).set_index("id")["beside"]
    assert said["cnn_sift-t2-cnn_only"] == "No number of right answers among 3,589 gives the printed figure."
    assert "average 79.75, or 85.20" in said["multimodal-s42-fer-overall"]
    assert said["lkrnet-s434-ck-ours-vs-baseline1"] == "Two other printed differences imply +2.342."
    assert said["cnn_sift-t2-cnn_sift"] == ""
