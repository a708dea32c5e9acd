"""Splits: what every protocol keeps, for any corpus."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.splits import (
    Fold,
    certify,
    hold_out,
    kfold,
    leave_one_subject_out,
    official,
    subject_kfold,
    subset,
)
from fer_lib.errors import FerError

CARD = Card("toy", "Toy faces", "nobody", "none", "nowhere", "toy/", may_show=True)
CLASSES = ("anger", "fear", "happiness", "neutral")
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def corpus_of(labels, subjects=None, sequences=None, split=None, seed=0):
    n = len(labels)
    return Corpus(
        images=np.random.default_rng(seed).integers(0, 256, (n, 3, 3), dtype=np.uint8),
        labels=np.asarray(labels),
        classes=CLASSES,
        card=CARD,
        ids=np.array([f"s{i:04d}" for i in range(n)]),
        subjects=subjects,
        sequences=sequences,
        split=split,
    )


@st.composite
def corpora(draw, min_subjects=3):
    """Draw a corpus of uneven classes and subjects, with rows in any order."""
    n_subjects = draw(st.integers(min_subjects, 8))
    sizes = draw(st.lists(st.integers(2, 9), min_size=n_subjects, max_size=n_subjects))
    subjects = np.repeat([f"p{i}" for i in range(n_subjects)], sizes)
    labels = draw(st.lists(st.integers(0, 3), min_size=len(subjects), max_size=len(subjects)))
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(subjects))
    return corpus_of(labels, subjects).select(order)


def times_tested(folds, n):
    return np.bincount(np.concatenate([f.test for f in folds]), minlength=n).tolist()


def as_ids(corpus, folds):
    return [(f.name, *(tuple(sorted(corpus.ids[p])) for p in (f.train, f.test))) for f in folds]


def make(protocol, corpus, k, seed):
    """Return folds, with k lowered to what the corpus allows."""
    k = min(k, np.bincount(corpus.labels).max(), len(np.unique(corpus.subjects)))
    if protocol is leave_one_subject_out:
        return protocol(corpus)
    return protocol(corpus, max(2, int(k)), seed)


protocols = st.sampled_from([kfold, subject_kfold, leave_one_subject_out])


@quick
@given(protocols, corpora(), st.integers(2, 5), st.integers(0, 5))
def test_every_sample_is_tested_once_and_never_trained_on(protocol, corpus, k, seed):
    folds = make(protocol, corpus, k, seed)
    assert times_tested(folds, len(corpus)) == [1] * len(corpus)
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == list(range(len(corpus)))
        assert fold.train.dtype == fold.test.dtype == np.int64
        assert len(fold.validation) == 0
    assert certify(corpus, folds, subject_independent=False)["every_sample_tested_once"]


@quick
@given(
    st.sampled_from([subject_kfold, leave_one_subject_out]), corpora(), st.integers(2, 5), st.integers(0, 5)
)
def test_no_subject_is_on_both_sides(protocol, corpus, k, seed):
    folds = make(protocol, corpus, k, seed)
    for fold in folds:
        assert not set(corpus.subjects[fold.train]) & set(corpus.subjects[fold.test])
    assert certify(corpus, folds, subject_independent=True)["subjects_shared"] == 0


@quick
@given(protocols, corpora(), st.integers(2, 5), st.integers(0, 5))
def test_folds_depend_on_ids_and_seed_not_on_row_order_or_pixels(protocol, corpus, k, seed):
    folds = as_ids(corpus, make(protocol, corpus, k, seed))
    shuffled = corpus.select(np.random.default_rng(1).permutation(len(corpus)))
    shuffled.images[:] = 0
    assert as_ids(shuffled, make(protocol, shuffled, k, seed)) == folds


def test_seeds_give_different_folds():
    corpus = corpus_of(np.arange(80) % 4, np.array([f"p{i % 10}" for i in range(80)]))
    for protocol in (kfold, subject_kfold):
        assert len({str(as_ids(corpus, protocol(corpus, 4, seed))) for seed in range(5)}) == 5


def test_folds_hold_the_classes_in_proportion():
    corpus = corpus_of(np.repeat([0, 1, 2, 3], [40, 20, 20, 10]))
    for fold in kfold(corpus, 10, 3):
        assert np.bincount(corpus.labels[fold.test]).tolist() == [4, 2, 2, 1]


def test_pinned_folds():
    """Folds are part of the evidence: a change of library or code that moves them must be noticed."""
    corpus = corpus_of(np.arange(12) % 2, np.array([f"p{i % 6}" for i in range(12)]))
    assert [f.test.tolist() for f in kfold(corpus, 3, 0)] == [[1, 4, 7, 8], [2, 3, 6, 9], [0, 5, 10, 11]]
    by_subject = [[0, 5, 6, 11], [2, 3, 8, 9], [1, 4, 7, 10]]
    assert [f.test.tolist() for f in subject_kfold(corpus, 3, 0)] == by_subject
    assert subset(corpus, np.arange(12), 4, 0).tolist() == [0, 7, 8, 11]


def test_leave_one_subject_out_names_its_folds():
    corpus = corpus_of([0, 1, 0, 1], np.array(["b", "a", "b", "c"]))
    folds = leave_one_subject_out(corpus)
    assert [(f.name, f.test.tolist()) for f in folds] == [("a", [1]), ("b", [0, 2]), ("c", [3])]


def test_small_classes_are_allowed_and_empty_folds_are_not():
    corpus = corpus_of([0] * 9 + [1], np.array(["a"] * 8 + ["b", "c"]))
    assert len(kfold(corpus, 5)) == 5
    assert times_tested(subject_kfold(corpus, 3), 10) == [1] * 10


def test_no_fold_is_empty_where_classes_cannot_be_kept_in_proportion():
    corpus = corpus_of([1, 0, 2, 0, 1, 2, 1, 0, 2, 0, 0], np.array(list("aaaabbcdddd")))
    folds = subject_kfold(corpus, 4)
    assert sorted(len(fold.test) for fold in folds) == [1, 2, 4, 4]
    assert certify(corpus, folds, subject_independent=True)["subjects_shared"] == 0


@pytest.fixture
def official_corpus():
    split = np.array(["train", "private_test", "public_test", "train", "private_test", "train"])
    return corpus_of([0, 0, 1, 1, 1, 2], split=split)


def test_official_split(official_corpus):
    (fold,) = official(official_corpus)
    assert (fold.name, fold.train.tolist()) == ("official", [0, 3, 5])
    assert (fold.validation.tolist(), fold.test.tolist()) == ([2], [1, 4])
    (fold,) = official(official_corpus, test="public_test", validation=None)
    assert (fold.validation.tolist(), fold.test.tolist()) == ([], [2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: official(c, test="test"), "Unknown split of this corpus 'test'"),
        (lambda c: official(corpus_of([0, 1])), "no official split"),
        (lambda c: subject_kfold(c, 3), "Toy faces has no subject ids.*impossible"),
        (lambda c: leave_one_subject_out(c), "no subject ids"),
        (lambda c: hold_out(c, np.arange(6), 0.3, 0, by_subject=True), "no subject ids"),
        (lambda c: certify(c, official(c), subject_independent=True), "no subject ids"),
        (lambda c: kfold(c, 7), "Toy faces cannot be split so: .*n_splits=7"),
        (lambda c: subject_kfold(corpus_of([0, 0], np.array(["a", "b"])), 3), "cannot be split so"),
        (lambda c: leave_one_subject_out(corpus_of([0, 0], np.array(["a", "a"]))), "at least 2"),
        (lambda c: subset(c, np.arange(6), 7), "cannot have 7"),
        (lambda c: subset(c, np.arange(6), 0), "cannot have 0"),
        (lambda c: hold_out(c, np.arange(6), 1.0), "nothing to train on"),
        (lambda c: hold_out(c, np.arange(1), 0.5), "nothing to train on"),
        (lambda c: certify(c, [Fold("f", [0, 1], [1, 2])], False), "f: a sample lies in two"),
        (lambda c: certify(c, [Fold("f", [0, 1], [2, 2])], False), "f: a sample lies in two"),
        (lambda c: certify(c, [Fold("f", [0, 1], [])], False), "0 test samples"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(official_corpus, call, message):
    with pytest.raises(FerError, match=message):
        call(official_corpus)


@quick
@given(corpora(), st.data())
def test_subsets_are_stratified_nested_and_independent_of_row_order(corpus, data):
    n = data.draw(st.integers(1, len(corpus)))
    seed = data.draw(st.integers(0, 5))
    train = np.arange(len(corpus))
    chosen = subset(corpus, train, n, seed)
    assert len(np.unique(chosen)) == n
    share = np.bincount(corpus.labels) * n / len(corpus)
    assert (np.abs(np.bincount(corpus.labels[chosen], minlength=len(share)) - share) <= 1).all()
    larger = subset(corpus, train, data.draw(st.integers(n, len(corpus))), seed)
    assert set(chosen) <= set(larger)
    back = corpus.select(train[::-1])
    assert set(back.ids[subset(back, train, n, seed)]) == set(corpus.ids[chosen])


def test_subset_stays_within_the_training_part():
    corpus = corpus_of(np.arange(40) % 4)
    part = np.arange(1, 40, 2)
    assert set(subset(corpus, part, 7, 0)) <= set(part)
    assert subset(corpus, part, 20, 0).tolist() == part.tolist()
    assert len({tuple(subset(corpus, part, 7, seed)) for seed in range(5)}) == 5


@quick
@given(corpora(), st.floats(0.05, 0.6), st.integers(0, 5), st.booleans())
def test_hold_out_parts_the_training_part_only(corpus, fraction, seed, by_subject):
    part = np.arange(len(corpus))[corpus.subjects != "p0"]
    train, validation = hold_out(corpus, part, fraction, seed, by_subject)
    assert sorted([*train, *validation]) == part.tolist()
    assert len(train)
    assert len(validation)
    if by_subject:
        assert not set(corpus.subjects[train]) & set(corpus.subjects[validation])
    else:
        assert len(validation) == max(1, round(fraction * len(part)))
    again = hold_out(corpus, part[::-1], fraction, seed, by_subject)
    assert [a.tolist() for a in again] == [train.tolist(), validation.tolist()]


def test_hold_out_keeps_the_frames_of_a_sequence_together():
    corpus = corpus_of(np.arange(40) % 4, sequences=np.array([f"q{i // 4}" for i in range(40)]))
    train, validation = hold_out(corpus, np.arange(40), 0.2, 1)
    assert len(validation) == 8
    assert not set(corpus.sequences[train]) & set(corpus.sequences[validation])


def test_certificate_of_the_official_split(official_corpus):
    official_corpus.images[1] = official_corpus.images[0]  # a twin of test sample 1 in training
    official_corpus.images[4] = official_corpus.images[2]  # of test sample 4 in validation
    facts = certify(official_corpus, official(official_corpus), subject_independent=False)
    assert (facts["dataset"], facts["images"], facts["n_folds"], facts["tested"]) == ("toy", 6, 1, 2)
    assert facts["every_sample_tested_once"] is False
    assert (facts["twins_crossing"], facts["twins_in_validation"]) == (1, 1)
    assert facts["subjects_shared"] is None
    assert facts["audit"]["redundant"] == 2
    (fold,) = facts["folds"]
    assert fold["sizes"] == {"train": 3, "validation": 1, "test": 2}
    assert fold["counts"]["test"] == {"anger": 1, "fear": 1, "happiness": 0, "neutral": 0}
    assert facts["fingerprint"] == official_corpus.fingerprint


def test_certificate_refuses_a_broken_promise_and_counts_it_otherwise():
    subjects = np.array(["a", "b", "a", "c"])
    sequences = np.array(["q1", "q2", "q3", "q2"])
    corpus = corpus_of([0, 1, 0, 1], subjects, sequences)
    folds = [Fold("first", [0, 1], [2, 3]), Fold("second", [2, 3], [0], [1])]
    facts = certify(corpus, folds, subject_independent=False)
    assert (facts["subjects_shared"], facts["sequences_shared"]) == (2, 1)
    with pytest.raises(FerError, match="first: 1 subjects are on both sides"):
        certify(corpus, folds, subject_independent=True)
    # A subject shared by validation and test is a broken promise too: validation chooses the model.
    leak = [Fold("leak", [1], [0], [2])]
    with pytest.raises(FerError, match="leak: 1 subjects"):
        certify(corpus, leak, subject_independent=True)


def test_index_hash_tells_folds_apart():
    corpus = corpus_of(np.arange(40) % 4)
    hashes = [certify(corpus, kfold(corpus, 4, seed), False)["index_sha256"] for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]
    swapped = [Fold(f.name, f.test, f.train) for f in kfold(corpus, 4, 0)]
    assert certify(corpus, swapped, False)["index_sha256"] != hashes[0]
