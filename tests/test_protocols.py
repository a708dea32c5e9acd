"""Who trains and who is tested in a chapter."""

import numpy as np
import pandas as pd
import pytest

from fer_lib.data import datasets, protocols
from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError


@pytest.fixture(scope="module")
def corpus():
    return datasets.load("synthetic", n_subjects=6, per_expression=2)


def test_limited_keeps_the_split_and_its_proportions(corpus):
    split = np.where(np.arange(len(corpus)) % 2 == 0, "train", "private_test")
    parted = Corpus(corpus.images, corpus.labels, corpus.classes, corpus.card, corpus.ids, split=split)
    made = protocols.limited(parted, 24, 0)
    assert pd.Series(made.split).value_counts().to_dict() == {"train": 24, "private_test": 6}
    made = protocols.limited(parted, 24, 0, others={"private_test": 12})
    assert pd.Series(made.split).value_counts().to_dict() == {"train": 24, "private_test": 12}


@pytest.mark.parametrize("grouping", protocols.GROUPINGS)
def test_cross_validation_repeats_with_other_folds(corpus, grouping):
    folds = protocols.cross_validation(corpus, 3, grouping, 0, repeats=2)
    assert len({fold.name for fold in folds}) == 6
    assert [len(np.unique(np.concatenate([f.test for f in part]))) for part in (folds[:3], folds[3:])] == [
        len(corpus)
    ] * 2
    assert not np.array_equal(folds[0].test, folds[3].test)
    kept = protocols.cross_validation(corpus, 3, grouping, 0, repeats=2, keep=1)
    assert [fold.name for fold in kept] == [folds[0].name, folds[3].name]
    shared = [set(corpus.subjects[f.train]) & set(corpus.subjects[f.test]) for f in folds]
    assert any(shared) == (grouping == "random")


def test_an_unknown_grouping_is_refused(corpus):
    with pytest.raises(FerError, match="grouping"):
        protocols.cross_validation(corpus, 3, "people", 0)


@pytest.mark.parametrize("grouping", protocols.GROUPINGS)
def test_validation_comes_from_the_training_side(corpus, grouping):
    (fold, *_) = protocols.cross_validation(corpus, 3, grouping, 0)
    made = protocols.with_validation(corpus, fold, grouping, 0)
    assert len(made.validation)
    assert sorted([*made.train, *made.validation]) == fold.train.tolist()
    assert np.array_equal(made.test, fold.test)
    if grouping == "subject":
        assert not set(corpus.subjects[made.train]) & set(corpus.subjects[made.validation])
