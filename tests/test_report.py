import numpy as np
import pandas as pd
import pytest

from fer_lib import claims, metrics, report, runs
from fer_lib.errors import FerError

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
    assert report._measure(claim, evidence)[0] == pytest.approx(100 * mean)


def test_what_predictions_cannot_tell_is_not_comparable(tmp_path):
    reason = report.scorecard(tmp_path).set_index("id")["reason"]
    assert "p value does not follow" in reason["cnn3d-t4-c2-pvalue"]
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
