import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fer_lib import claims
from fer_lib.errors import FerError
from fer_lib.evidence import runs
from fer_lib.judge import answers, judgement, report, significance
from fer_lib.learn import metrics

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


@pytest.fixture
def full(record):
    """Write evidence at budget full: its networks have converged, or are still rising."""

    def write(shares, rising=0.0, best=0.0, **options):
        seed = options.get("seed", 0)
        folder = next(run.path for run in record(shares, **options) if run.seed == seed)
        facts = json.loads((folder / "run.json").read_text("utf-8")) | {"budget": "full"}
        (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
        epoch = np.arange(1, 21)
        made = []
        for model, share in shares.items():
            test = np.where(epoch == 18, share + best, share)
            columns = {"train_loss": 0.01, "train_accuracy": 1.0, "test_accuracy": test}
            watched = share + rising * (epoch - 20)
            made.append(
                pd.DataFrame(columns | {"validation_accuracy": watched, "model": model, "epoch": epoch})
            )
        pd.concat(made).assign(fold="official").to_csv(folder / "curves.csv", index=False)
        target = folder.parents[1] / "full" / folder.name
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
        return runs.find(folder.parents[3], paper=facts["paper"])

    return write


def beside(paper, made, *names):
    """Set a few claims of a paper beside runs, as ``report.compare`` does all, in a tenth of the time."""
    known, grouped = claims.load(paper), judgement.groups(made)
    found = (one for name in names for one in judgement.judgements(known.claim(name), grouped))
    return report._frame(found).set_index("id")


# --- claims beside runs -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_evidence(tmp_path_factory):
    return report.scorecard(tmp_path_factory.mktemp("nothing"))


def test_scorecard_without_evidence_names_the_data_each_claim_needs(without_evidence):
    card = without_evidence
    assert tuple(card.columns) == report.COLUMNS
    assert set(card["paper"]) == set(claims.PAPERS)
    assert card["id"].is_unique
    assert set(card["verdict"]) <= {"needs data", "not comparable", "holds", "does not hold", "inconclusive"}
    assert not (card["how"] == "running").any()
    needs = card[card["verdict"] == "needs data"]
    assert (needs["reason"].str.startswith("needs data: ")).all()
    reason = needs.set_index("id")["reason"]
    assert reason["cnn3d-t6-ours"] == "needs data: CK+ (leave one subject out)"
    assert not needs["reason"].str.contains(r"\(not stated").any()
    other = card.set_index("id").loc["multimodal-t2-ref19-angry"]
    assert (other["verdict"], other["reason"]) == ("not comparable", "the network of [19] is not built here")
    assert set(card["role"]) == set(report.ROLES)
    assert card["ours"].isna().all()


def test_quoted_figures_can_be_asked_for_and_are_no_claims(tmp_path):
    card = report.scorecard(tmp_path, roles=("quoted",))
    assert set(card["verdict"]) == {"not comparable"}
    assert card.set_index("id")["reason"]["cnn_sift-t2-dnnrl"] == "quoted from other work ([20])"
    assert report.summary(card).claims == 0


def test_run_at_budget_paper_is_judged(record, tmp_path):
    for seed in range(3):
        record({"CNN-ONLY": 0.7250, "CNN-SIFT": 0.60, "CNN-SIFT-AVG": 0.80}, seed=seed)
    card = report.scorecard(tmp_path).set_index("id")
    assert card.loc["cnn_sift-t2-cnn_only", "verdict"] == "reproduced"
    assert card.loc["cnn_sift-t2-cnn_sift", "verdict"] == "not reached"
    assert card.loc["cnn_sift-t2-cnn_sift_avg", "verdict"] == "exceeded"
    row = card.loc["cnn_sift-t2-cnn_only"]
    assert row["how"] == "running"
    assert row["ours"] == pytest.approx(72.50, abs=0.02)
    low, high = metrics.interval(np.arange(3589) < round(0.725 * 3589))
    assert (row["low"], row["high"]) == pytest.approx((100 * low, 100 * high), abs=0.3)
    assert row["n"] == 3589
    assert row["run"].startswith("cnn_sift/fer2013/paper/seed0, cnn_sift/fer2013/paper/seed1")
    assert row["hardware"]
    # CK+ and JAFFE have no run.
    assert card.loc["cnn_sift-t3-cnn_only", "verdict"] == "needs data"


def test_one_seed_has_the_interval_of_its_samples(record, tmp_path):
    record({"CNN-ONLY": 0.7250})
    row = report.scorecard(tmp_path).set_index("id").loc["cnn_sift-t2-cnn_only"]
    assert row["verdict"] == "inconclusive"
    assert row["needs"] == "fer run cnn_sift fer2013 --budget paper --seed 1"
    assert "(one seed)" in row["reason"]
    assert "seeds would decide" in row["reason"]


# --- convergence ----------------------------------------------------------------------------------


def test_a_run_at_budget_full_judges_where_its_networks_have_converged(full, tmp_path):
    for seed in range(3):
        full({"CNN-ONLY": 0.7250, "CNN-SIFT": 0.60}, seed=seed)
    card = report.scorecard(tmp_path).set_index("id")
    assert card.loc["cnn_sift-t2-cnn_only", "verdict"] == "reproduced"
    assert card.loc["cnn_sift-t2-cnn_sift", "verdict"] == "not reached"
    assert (card.loc["cnn_sift-t2-cnn_only", ["apart", "needs"]] == "").all()


def test_a_run_whose_networks_still_rise_stands_apart(full, tmp_path):
    full({"CNN-ONLY": 0.7250}, rising=0.002)
    row = report.scorecard(tmp_path).set_index("id").loc["cnn_sift-t2-cnn_only"]
    assert row["verdict"] == "not comparable"
    assert "CNN-ONLY has not converged (seed 0: validation accuracy changes by +0.20" in row["reason"]
    assert row["apart"].startswith("For information only, from our run at budget full: 72.5")
    assert np.isnan(row["ours"])  # no gap beside a claim
    assert row["needs"] == "fer run cnn_sift fer2013 --budget paper"


def test_an_average_rests_on_all_its_members(full):
    made = full({"CNN-ONLY": 0.7250, "C1": 0.70})
    path = made[0].path / "curves.csv"
    curves = pd.read_csv(path)
    curves.loc[curves["model"] == "C1", "validation_accuracy"] += 0.002 * curves["epoch"]
    curves[curves["model"] == "C1"].to_csv(path, index=False)  # the average has no curve of its own
    row = report.compare("cnn_sift", made).set_index("id").loc["cnn_sift-t2-cnn_only"]
    assert "C1 has not converged" in row["reason"]
    facts = json.loads((made[0].path / "run.json").read_text("utf-8")) | {"members": {"CNN-ONLY": []}}
    (made[0].path / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    again = report.compare("cnn_sift", [runs.Run(made[0].path)]).set_index("id")
    assert again.loc["cnn_sift-t2-cnn_only", "how"] == "running"


@pytest.mark.parametrize("best, verdict", [(0.05, "not reached"), (0.12, "inconclusive")])
def test_not_reached_asks_for_the_best_test_epoch(full, tmp_path, best, verdict):
    for seed in range(3):
        full({"CNN-ONLY": 0.60}, best=best, seed=seed)
    assert report.scorecard(tmp_path).set_index("id").loc["cnn_sift-t2-cnn_only", "verdict"] == verdict


def test_gain_of_the_average_is_paired_and_against_both_others(record):
    found = report.compare("cnn_sift", record({"CNN-ONLY": 0.70, "CNN-SIFT": 0.71, "CNN-SIFT-AVG": 0.715}))
    row = found.set_index("id").loc["cnn_sift-s43-fer-gain-avg"]
    assert row["ours"] == pytest.approx(1.0, abs=0.05)
    # Nested right answers: the paired interval is far narrower than that of two independent accuracies.
    assert row["high"] - row["low"] < 1.0
    assert row["sign"] == "holds"
    assert row["reason"].startswith("sign: holds")
    margin = found.set_index("id").loc["cnn_sift-s43-jaffe-gain-low"]
    assert (margin["verdict"], margin["how"]) == ("holds", "arithmetic")  # its own table has the difference


@pytest.mark.parametrize("budget", ["short", "smoke"])
def test_other_budgets_show_figures_but_are_not_judged(record, tmp_path, budget):
    record({"CNN-ONLY": 0.55}, budget=budget)
    card = report.scorecard(tmp_path).set_index("id")
    row = card.loc["cnn_sift-t2-cnn_only"]
    assert row["verdict"] == "not comparable"
    assert budget in row["reason"]
    assert np.isnan(row["ours"])
    assert f"from our run at budget {budget}: 55.00 [53." in row["apart"]
    assert row["needs"] == "fer run cnn_sift fer2013 --budget full"
    other = card.loc["cnn_sift-t2-cnn_sift"]
    assert other["verdict"] == "not comparable"
    assert "CNN-SIFT" in other["reason"]


def test_the_highest_budget_that_may_judge_counts(record, full, tmp_path):
    record({"CNN-ONLY": 0.55}, budget="short")
    for seed in range(2):
        record({"CNN-ONLY": 0.72}, budget="paper", seed=seed)
    card = report.scorecard(tmp_path)
    rows = card[card["id"] == "cnn_sift-t2-cnn_only"]
    assert rows["verdict"].tolist() == ["reproduced"]
    both = report.compare("cnn_sift", runs.find(tmp_path))
    assert len(both[both["id"] == "cnn_sift-t2-cnn_only"]) == 2


def test_drawn_faces_and_other_readings_stay_out_of_the_scorecard(record, tmp_path):
    record({"CNN-ONLY": 0.7217}, dataset="synthetic")
    record({"CNN-ONLY": 0.7217}, variant="augment=mild")
    assert report.scorecard(tmp_path)["ours"].isna().all()


def test_another_protocol_is_not_comparable_and_a_longer_budget_does_not_help(full):
    found = report.compare("cnn_sift", full({"CNN-ONLY": 0.7217}, protocol="something_else"))
    row = found.set_index("id").loc["cnn_sift-t2-cnn_only"]
    assert row["verdict"] == "not comparable"
    assert "something_else" in row["reason"]
    assert row["needs"] == "fer run cnn_sift fer2013 --budget full"


def test_seeds_are_averaged_whatever_the_order_of_their_samples(record):
    record({"CNN-ONLY": 0.70}, seed=0)
    shuffled = np.random.default_rng(5).permutation(3589)
    found = beside("cnn_sift", record({"CNN-ONLY": 0.74}, seed=1, order=shuffled), "cnn_sift-t2-cnn_only")
    row = found.loc["cnn_sift-t2-cnn_only"]
    assert row["ours"] == pytest.approx(72, abs=0.05)
    assert row["n"] == 3589
    assert row["low"] < 70
    assert row["high"] > 74
    assert row["run"] == "cnn_sift/fer2013/paper/seed0, cnn_sift/fer2013/paper/seed1"


def test_class_accuracy_and_subjects(record):
    n = 210
    subjects = np.array([f"s{i % 10}" for i in range(n)])
    options = {"dataset": "jaffe", "protocol": "jaffe_7class_5fold", "n": n, "subjects": subjects}
    evidence = record({"CNN-SIFT-AVG": 1.0}, **options)
    found = beside("cnn_sift", evidence, "cnn_sift-s43-jaffe-happy", "cnn_sift-t4-cnn_sift_avg")
    happy = found.loc["cnn_sift-s43-jaffe-happy"]
    assert (happy["ours"], happy["n"], happy["verdict"]) == (100, 30, "inconclusive")
    overall = found.loc["cnn_sift-t4-cnn_sift_avg"]
    assert overall["verdict"] == "inconclusive"  # 98.2 is below 98.96 by less than a point, 100 above by more
    # 210 of 210 is no certainty.
    assert (overall["low"], overall["high"]) == pytest.approx((98.2, 100), abs=0.1)


def test_class_means_and_fold_means(record):
    n = 100
    evidence = record({"OURS": 0.5}, paper="multimodal", protocol="fer2013_processed", n=n)
    stored = evidence[0].predictions("OURS")
    expected = metrics.mean_class_accuracy(stored["labels"], stored["probabilities"].argmax(1), 7)
    found = beside("multimodal", evidence, "multimodal-s42-fer-mean", "multimodal-s42-fer-overall")
    assert found.loc["multimodal-s42-fer-mean", "ours"] == pytest.approx(100 * expected)
    assert found.loc["multimodal-s42-fer-overall", "ours"] == pytest.approx(50)
    assert found.loc["multimodal-s42-fer-mean", "n"] == n

    fold = np.where(np.arange(n) < 80, "0", "1")
    claim = replace(claims.load("cnn3d").claim("cnn3d-t7-ours"), metric="mean_fold_accuracy", model="c1")
    evidence = record({"c1": 0.5}, paper="cnn3d", dataset="ckplus", protocol="p", n=n, fold=fold)
    rows = evidence[0].predictions("c1")
    right = rows["probabilities"].argmax(1) == rows["labels"]
    mean = np.mean([right[rows["fold"] == name].mean() for name in ("0", "1")])
    assert answers.measure(claim, evidence).ours == pytest.approx(100 * mean)


@pytest.mark.parametrize(
    "random, verdict",
    [(0.9504, "reproduced"), (0.5, "inconclusive")],
)
def test_where_a_paper_leaves_its_folds_open_a_claim_must_hold_on_all_that_are_run(record, random, verdict):
    n = 7000
    shares = {"OURS": 0.9504, "VGG": 0.92, "OURS@random": random, "VGG@random": 0.8}
    protocol = "ckplus_7class_unspecified"
    made = record(shares, paper="multimodal", dataset="ckplus", protocol=protocol, n=n)
    found = beside("multimodal", made, "multimodal-t2-ours-average", "multimodal-o-above-vgg-ckplus")
    row = found.loc["multimodal-t2-ours-average"]
    assert row["verdict"] == verdict
    assert found.loc["multimodal-o-above-vgg-ckplus", "verdict"] == (
        "holds" if random > 0.8 else "inconclusive"
    )
    if verdict == "inconclusive":
        assert row["reason"].startswith("reproduced (")
        assert "but on random folds not reached (" in row["reason"]


def test_folds_that_were_not_run_leave_such_a_claim_open(record):
    shares, protocol = {"OURS": 0.95, "VGG": 0.92}, "ckplus_7class_unspecified"
    made = record(shares, paper="multimodal", dataset="ckplus", protocol=protocol)
    row = beside("multimodal", made, "multimodal-o-above-vgg-ckplus").iloc[0]
    assert row["verdict"] == "not comparable"
    assert "OURS@random" in row["reason"]


def test_what_predictions_cannot_tell_is_not_comparable(without_evidence):
    reason = without_evidence.set_index("id")["reason"]
    assert "neither which image" in reason["multimodal-f7-a-occlusion_eye-ours"]
    assert "one by one" in reason["cnn3d-t4-c1-fold3"]
    assert "no number is printed" in reason["multimodal-f7-c-occlusion_mouth_and_eye-vgg"]


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
    assert table.loc["cspp-t5-cspp-jaffe", "verdict"] == "inconclusive"  # of 183 images
    assert table.loc["cspp-t3-ck-average", "ours"] == pytest.approx(97, abs=0.5)
    assert table.loc["cspp-t5-cspp-mmi", "ours"] != table.loc["cspp-t5-cspp-mmi", "ours"]
    assert table.loc["cspp-t3-jaffe-average", "verdict"] == "needs data"


def test_a_claim_under_a_further_protocol_is_answered_by_the_model_that_names_it(record):
    share = {"c1": 0.9, "c1@ckplus_7class_loso": 0.6}
    made = record(share, dataset="ckplus", protocol="ckplus_7class_10fold_si", n=327, paper="cnn3d")
    table = beside("cnn3d", made, "cnn3d-t6-ours", "cnn3d-t7-ours")
    assert table.loc["cnn3d-t6-ours", "ours"] == pytest.approx(60, abs=0.5)
    assert table.loc["cnn3d-t7-ours", "ours"] == pytest.approx(90, abs=0.5)


def test_a_claim_without_a_run_says_what_would_answer_it(without_evidence):
    card = without_evidence.set_index("id")
    assert card.loc["cspp-t3-ck-average", "needs"] == "fer run cspp ckplus --budget full"
    assert card.loc["cspp-t5-cspp-jaffe", "needs"] == "fer run cspp ckplus --budget full"  # trained there
    assert card.loc["cnn3d-t5-c4-average", "needs"] == "fer run cnn3d oulu_casia --budget full -p oulu_n=400"
    assert card.loc["cnn3d-t4-c1-fold3", "needs"] == ""
    assert card.loc["multimodal-f7-a-occlusion_eye-ours", "needs"] == ""


# --- other protocols ----------------------------------------------------------------------------


def test_a_run_with_the_parameters_of_another_protocol_answers_the_claims_of_that(record, tmp_path):
    options = {"dataset": "oulu_casia", "paper": "cnn3d"}
    record({"c2": 0.84}, **options, protocol="oulu_6class_10fold_480", n=480)
    record({"c2": 0.70}, **options, protocol="oulu_6class_10fold_400", n=400, variant="oulu_n=400")
    record({"c2": 0.10}, **options, protocol="oulu_6class_10fold_480", n=480, variant="epoch_selection=fold")
    card = report.scorecard(tmp_path).set_index("id")
    assert card.loc["cnn3d-t5-c2-average", "ours"] == pytest.approx(70)
    assert card.loc["cnn3d-t8-ours", "ours"] == pytest.approx(84, abs=0.2)


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
    table = beside("cnn3d", [run], "cnn3d-t4-c2-pvalue", "cnn3d-t4-c3-pvalue")
    row = table.loc["cnn3d-t4-c2-pvalue"]
    expected = significance.p_values(better / 100, worse / 100)
    assert row["ours"] == pytest.approx(expected["two_sided"], rel=1e-6)
    assert row["n"] == 10
    assert row["verdict"] == "reproduced"
    assert f"{expected['wilcoxon']:.2g} (Wilcoxon" in row["remark"]
    assert "0.00057 (paired t, one-sided)" in row["remark"]  # the printed folds, whatever the run
    # Without a network c3 the printed folds speak.
    assert table.loc["cnn3d-t4-c3-pvalue", "how"] == "arithmetic"


def test_without_a_run_the_printed_folds_judge_a_p_value(without_evidence):
    card = without_evidence.set_index("id")
    row = card.loc["cnn3d-t5-c1-pvalue"]
    assert (row["verdict"], row["how"]) == ("does not hold", "arithmetic")
    assert "0.072 (paired t, two-sided)" in row["reason"]
    assert row["needs"]
    assert card.loc["cnn3d-t4-c2-pvalue", "verdict"] == "holds"


def test_share_of_errors_saved(record):
    options = {"dataset": "ckplus", "paper": "cspp", "protocol": "ckplus_6class_8fold_si", "n": 1000}
    made = record({"Benchmark": 0.80, "Plain7CNN": 0.83}, **options)
    row = beside("cspp", made, "cspp-s42-plain7-error-reduction").iloc[0]
    assert row["ours"] == pytest.approx(15)  # 30 of 200 errors
    assert row["low"] < 15 < row["high"]
    assert row["verdict"] == "inconclusive"
    assert "± 2.5" in row["reason"]  # half a point of the 20 that are wrong
    made = record({"Benchmark": 0.50, "Plain7CNN": 0.90}, **options)
    row = beside("cspp", made, "cspp-s42-plain7-error-reduction").iloc[0]
    assert (row["ours"], row["verdict"]) == (pytest.approx(80), "exceeded")


# --- remarks -------------------------------------------------------------------------


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
    rows = report.compare("multimodal", [run]).set_index("id")["remark"]
    assert "right on 30.0 % [25.0, 35.0]" in rows["multimodal-f7-a-occlusion_eye-ours"]
    assert "right on 50.0 % [45.0, 55.0]" in rows["multimodal-f7-a-original-ours"]
    assert rows["multimodal-f7-a-occlusion_mouth-ours"] == ""
    assert rows["multimodal-f7-a-occlusion_eye-vgg"] == ""


def test_a_figure_that_cannot_be_says_so(without_evidence):
    said = without_evidence.set_index("id")["remark"]
    assert said["cnn_sift-t2-cnn_only"] == "No number of right answers among 3,589 gives the printed number."
    reason = without_evidence.set_index("id")["reason"]
    assert "average 79.75, or 85.20" in reason["multimodal-s42-fer-overall"]
    assert "Two other printed differences imply +2.342." in reason["lkrnet-s434-ck-ours-vs-baseline1"]
    assert said["cnn_sift-t2-cnn_sift"] == ""


# --- counting -------------------------------------------------------------------------------------


def test_every_claim_is_counted_once_and_in_one_place(record, full, tmp_path):
    record({"OURS": 0.6}, paper="multimodal", protocol="fer2013_processed", budget="short")
    for seed in range(3):
        full({"CNN-ONLY": 0.7250, "CNN-SIFT": 0.7250}, seed=seed)
    card = report.scorecard(tmp_path, roles=(*report.ROLES, "quoted"))
    found = report.summary(card)
    parts = found[1:8]
    assert sum(parts) == found.claims == (card["kind"] == "claim").sum()
    assert found.running >= 2
    assert found.apart > 0
    assert found.counting > 40
    assert (found.folds, found.images) == (60, 36)
    assert found.judged == found.running + found.arithmetic + found.counting
    assert found == report.summary(pd.concat([card, card]))


def test_a_repeat_is_listed_with_its_original_and_not_counted(record, monkeypatch):
    paper = claims.load("cnn_sift")
    again = replace(paper.claim("cnn_sift-t2-cnn_only"), id="cnn_sift-again", same_as="cnn_sift-t2-cnn_only")
    longer = replace(paper, claims=(*paper.claims, again))
    monkeypatch.setattr(report.claims, "load", lambda key: longer)
    before = report.summary(report.compare("cnn_sift", []).query("id != 'cnn_sift-again'"))
    made = [record({"CNN-ONLY": 0.72}, seed=seed)[-1] for seed in range(2)]
    found = report.compare("cnn_sift", made).set_index("id")
    columns = ["verdict", "reason", "ours"]
    assert (
        found.loc["cnn_sift-again", columns].tolist() == found.loc["cnn_sift-t2-cnn_only", columns].tolist()
    )
    assert report.summary(found.reset_index()).claims == before.claims
    assert report.summary(found.reset_index()).repeats == before.repeats + 1
