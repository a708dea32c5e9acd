"""Chapter 1 at budget smoke: what its evidence must show."""

import numpy as np
import pytest

from fer_lib import metrics


@pytest.fixture(scope="module")
def smoke(smoke_of):
    return smoke_of("cnn_sift")


def test_smoke_scores_far_above_chance_and_below_perfect(smoke):
    rows = smoke.predictions("CNN-SIFT-AVG")
    score = metrics.accuracy(rows["labels"], rows["probabilities"].argmax(1))
    assert 3 / 7 < score < 1


def test_unseen_subjects_are_harder(smoke):
    """Averaged over the six networks: a single one of two folds is within its noise."""

    def mean(suffix):
        rows = [smoke.predictions(name + suffix) for name in ("C1", "C2", "C3", "S1", "S2", "S3")]
        return np.mean([metrics.accuracy(r["labels"], r["probabilities"].argmax(1)) for r in rows])

    assert mean("@subject") < mean("")
    held = smoke.info["certificates"]["subject"]
    assert held["subjects_shared"] == 0 < smoke.info["certificates"]["random"]["subjects_shared"]


def test_averages_are_means_of_their_members(smoke):
    rows = {name: smoke.predictions(name) for name in smoke.models()}
    for average, members in {"CNN-ONLY": ("C1", "C2", "C3"), "CNN-SIFT": ("S1", "S2", "S3")}.items():
        mean = np.mean([rows[name]["probabilities"] for name in members], axis=0)
        np.testing.assert_allclose(rows[average]["probabilities"], mean, atol=2e-3)
        assert (rows[average]["ids"] == rows[members[0]]["ids"]).all()
