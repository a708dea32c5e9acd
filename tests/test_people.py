"""What people said of FER2013: shares, ties, and where networks stand beside raters."""

import numpy as np
import pytest

from fer_lib.judge import people
from fer_lib.judge.people import People

CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


def made(votes, labels, cast=10):
    votes = np.array(votes)
    ids = np.array([f"private_test-{i}" for i in range(len(votes))])
    return People(ids, np.array(labels), CLASSES, votes, np.full(len(votes), cast))


@pytest.fixture
def few():
    return made(
        [
            [9, 0, 1, 0, 0, 0, 0],  # clear, and as labelled
            [0, 0, 5, 0, 5, 0, 0],  # a tie with the label
            [0, 0, 1, 0, 7, 0, 0],  # raters contradict the label
            [0, 0, 0, 0, 0, 0, 0],  # no vote for any of the seven
        ],
        [0, 2, 2, 3],
    )


def test_one_rater_agrees_by_the_labels_share_of_all_votes(few):
    assert few.one_rater().tolist() == [0.9, 0.5, 0.1, 0]


def test_ties_for_the_most_votes_count_in_part(few):
    assert few.majority().tolist() == [1, 0.5, 0, 0]


def test_clear_images_have_eight_votes_for_one_expression(few):
    assert few.clear().tolist() == [True, False, False, False]


def test_shares_are_means_by_class_with_intervals_around_them(few):
    found = people.shares(few, few.majority())
    assert list(found) == ["all", "anger", "fear", "happiness"]
    assert [value for value, _, _ in found.values()] == [37.5, 100, 25, 0]
    assert all(low <= value <= high for value, low, high in found.values())


class Tested:
    """A run that says anger, fear, sadness and happiness, in another order and with a stranger's image."""

    def predictions(self, model):
        assert model == "C1"
        said = [4, 0, 3, 2, 6]
        ids = ["private_test-2", "private_test-0", "private_test-3", "private_test-1", "public_test-9"]
        return {"ids": np.array(ids), "probabilities": np.eye(7)[said]}


def test_networks_are_joined_by_the_ids_of_the_images(few):
    found = people.beside(few, Tested(), "C1")
    assert found["clear"] == 100
    assert found["unclear"] == pytest.approx(100 * 2 / 3)
    assert (found["theirs"], found["label"]) == (100, 0)


def test_recorded_votes_are_of_the_whole_part():
    found = people.load()
    assert found.classes == CLASSES
    assert found.votes.shape == (3589, 7)
    assert (found.votes.sum(1) <= found.cast).all()
    assert np.bincount(found.labels).tolist() == [491, 55, 528, 879, 594, 416, 626]
