"""The matrix: the same faces, folds and movements for every network, and what is counted of each."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.errors import FerError
from fer_lib.evidence import preflight
from fer_lib.evidence.provenance import notebook_path, parameters
from fer_lib.features import hog
from fer_lib.features import sift as features
from fer_lib.features.geometry import MILD, Augmentation
from fer_lib.learn import metrics
from fer_lib.learn.training import Part
from fer_lib.papers import baselines
from fer_lib.papers.lkrnet import network as lkrnet
from fer_lib.papers.multimodal.modalities import MIRRORED
from fer_lib.play import matrix, matrix_data, zoo
from fer_lib.play.budgets import BUDGETS
from fer_lib.play.zoo import CLIP, GEOMETRY, LANDMARKS, NETWORKS, SVM, WORDS
from fer_lib.show.plots import matrix as drawings

DRAWN = {"n_subjects": 4, "per_expression": 1, "size": 64, "n_frames": 8}
MIRROR = Augmentation(mirror=1.0)


class Store:
    """Finished units in a folder, as a recorder keeps them."""

    def __init__(self, folder):
        self.folder = folder

    def unit(self, name):
        path = self.folder / f"{name}.npz"
        return path if path.exists() else None

    def finish_unit(self, name, **values):
        path = self.folder / f"{name}.npz"
        np.savez(path, **values)
        return path

    def checkpoint(self, name):
        return self.folder / name


@pytest.fixture(scope="module")
def faces():
    return matrix_data.load("synthetic", drawn=DRAWN)


@pytest.fixture(scope="module")
def split(faces):
    """Return the first fold, the vocabulary of its training part and its two parts."""
    _, (fold, *_) = matrix_data.folds(faces.corpus, 2, 0)
    words = features.Vocabulary.fit(faces.descriptors.take(fold.train), 512)
    return fold, words, tuple(faces.part(index, words) for index in (fold.train, fold.test))


def test_every_corpus_comes_as_aligned_faces_with_all_that_a_network_reads(faces):
    corpus = faces.corpus
    assert corpus.images.shape == (28, 48, 48)
    assert corpus.classes == matrix_data.CLASSES
    assert faces.clips.shape == (28, zoo.N_FRAMES, 48, 48)
    assert (faces.clips[:, -1] == corpus.images).all()  # the clip ends in the image
    eyes = matrix_data.faces.eyes(corpus.landmarks)
    assert np.abs(eyes[:, 0, 1] - eyes[:, 1, 1]).max() < 0.1  # level
    assert np.ptp(eyes[:, 1, 0] - eyes[:, 0, 0]) < 0.1  # and equally far apart


def test_nobody_is_on_both_sides_and_an_official_split_is_kept(faces):
    name, folds = matrix_data.folds(faces.corpus, 9, 0)
    assert (name, len(folds)) == ("subject", 4)  # not more folds than people
    for fold in folds:
        assert not set(faces.corpus.subjects[fold.train]) & set(faces.corpus.subjects[fold.test])


def test_a_limit_keeps_the_classes_in_proportion_and_half_as_many_for_testing(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage"]
    for i in range(210):
        usage = ("Training", "PublicTest", "PrivateTest")[i % 3]
        lines.append(f"{i // 3 % 7},{' '.join(map(str, rng.integers(0, 256, 48 * 48)))},{usage}")
    (tmp_path / "fer2013").mkdir()
    (tmp_path / "fer2013" / "fer2013.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(FerError, match="not the official"):
        matrix_data.load("fer2013", tmp_path)
    corpus = datasets.load("fer2013", tmp_path, strict=False)
    kept = matrix_data.limited(corpus, 28, 0)
    assert corpus.select(kept).counts().to_dict("list") == {"train": [4] * 7, "private_test": [2] * 7}


def test_stills_without_a_face_are_used_whole_and_train_no_network_of_clips(tmp_path):
    """Drawn noise in the layout of the CMU Face Images: no detector finds a face in it."""
    rng = np.random.default_rng(0)
    for user in ("an2i", "ch4f"):
        folder = tmp_path / "cmu_faces" / "faces" / user
        folder.mkdir(parents=True)
        for expression in ("neutral", "happy", "sad", "angry"):
            for eyes in ("open", "sunglasses"):
                image = rng.integers(0, 256, (120, 128), dtype=np.uint8)
                data = cv2.imencode(".pgm", image)[1].tobytes()
                (folder / f"{user}_straight_{expression}_{eyes}.pgm").write_bytes(data)
    made = matrix_data.load("cmu_faces", tmp_path)
    assert made.corpus.images.shape == (16, 48, 48)
    assert not made.corpus.valid.any()
    assert np.isfinite(made.corpus.landmarks).all()
    assert made.clips is None
    assert made.photographs.shape == (16, 120, 128)
    bench = matrix.Bench(made, Store(tmp_path), BUDGETS["smoke"], 1)
    assert set(NETWORKS) - set(bench.networks) == {"3D-CNN"}


def test_other_corpora_are_those_on_this_machine(tmp_path):
    found, absent = matrix_data.others("jaffe", tmp_path, DRAWN | {"n_subjects": 1}, limit=7)
    assert list(found) == ["synthetic"]
    assert absent == [name for name in datasets.NAMES if name not in ("synthetic", "jaffe")]


def test_drawn_faces_are_tested_on_other_drawn_people(faces):
    found, absent = matrix_data.others("synthetic", None, DRAWN | {"n_subjects": 2})
    other = found["synthetic"].corpus
    assert absent == []
    assert not set(other.ids) & set(faces.corpus.ids)
    assert not any((image == faces.corpus.images).all((1, 2)).any() for image in other.images)


def test_all_that_is_read_of_a_face_moves_with_it(split):
    _, _, (part, _) = split
    moved = zoo.augmented(part, MIRROR)
    assert (moved.images == part.images.flip(2)).all()
    assert torch.allclose(
        moved.extra[LANDMARKS][:, :, 0], 47 - part.extra[LANDMARKS][:, list(MIRRORED), 0], atol=1e-3
    )
    assert torch.allclose(moved.extra[GEOMETRY][:, 5], part.extra[GEOMETRY][:, 5], atol=1e-3)
    assert torch.allclose(moved.extra[GEOMETRY][:, 2, 0], 47 - part.extra[GEOMETRY][:, 2, 0], atol=1e-3)
    assert torch.equal(moved.extra[WORDS], part.extra[WORDS])
    assert torch.allclose(moved.extra[CLIP], part.extra[CLIP].flip(3), atol=1e-2)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_reads_what_its_feed_makes(name, split):
    """Costs are counted with inputs of the same shapes; only training moves faces."""
    _, _, (learn, test) = split
    entry = NETWORKS[name]
    feed = zoo.Augmented(entry.feed(learn), MILD)
    inputs = feed(test, False)
    blank = entry.feed(zoo.blank())(zoo.blank(), False)
    assert [tuple(x.shape[1:]) for x in inputs] == [tuple(x.shape[1:]) for x in blank]
    assert all(torch.equal(a, b) for a, b in zip(inputs, feed(test, False), strict=True))
    assert not torch.equal(feed(test, True)[0], inputs[0])
    model = entry.build(7, width=0.05).eval()
    output = model(*inputs)
    scores = output[0] if isinstance(output, tuple) else output
    assert scores.shape == (len(test), 7)


def test_costs_are_the_papers_at_full_width():
    assert matrix.multiply_adds("C2")[0] == 19_278_599
    assert matrix.multiply_adds(SVM) == (900 * 7 + 7, 900 * 7)
    convolutions = 48 * 48 * 32 * 25 + 24 * 24 * 64 * 32 * 49
    dense = 12 * 12 * 64 * 256 + 256 * 7
    assert matrix.multiply_adds("Benchmark")[1] == convolutions + dense
    for name in NETWORKS:
        full, narrow = (matrix.multiply_adds(name, width=width) for width in (1, 0.25))
        assert all(a > b for a, b in zip(full, narrow, strict=True)) == (name != SVM)


def test_each_network_has_the_recipe_of_its_paper():
    claims_of = {e["id"]: e["value"] for e in claims.load("cspp").hyperparameters}
    own = zoo.recipe_of("C-SPP", 10)
    assert (own.lr, own.momentum) == (claims_of["learning_rate"], claims_of["momentum"])
    assert (own.batch_size, own.true_class_target) == (claims_of["batch_size"], 0.9)
    assert zoo.recipe_of("3D-CNN", 10).lookahead == (5, 0.5)
    for name in NETWORKS:
        if name != SVM:
            own, short = zoo.recipe_of(name, 40), zoo.recipe_of(name, 40, smaller=16, rate=2)
            assert own.augmentation == MILD
            assert (own.checkpoint, own.epochs) == ("last", 40)
            assert short.batch_size == max(8, own.batch_size // 16)
            assert short.learning_rate(39) == pytest.approx(2 * own.learning_rate(39))


@pytest.mark.parametrize("name", ["VGG19", "LKRNet"])
@pytest.mark.parametrize("epochs", [30, 3000])
def test_the_rates_of_paper_5_rise_and_fall_once_in_a_run_of_any_length(name, epochs):
    rates = zoo.recipe_of(name, epochs).learning_rates
    top = rates.index(max(rates))
    assert len(rates) == epochs
    assert list(rates[: top + 1]) == sorted(rates[: top + 1])
    assert list(rates[top:]) == sorted(rates[top:], reverse=True)
    assert top < 0.25 * epochs
    if epochs < lkrnet.RECIPE_EPOCHS:
        assert rates == lkrnet.learning_rates("known", epochs)


def test_triplets_are_found_as_the_register_recommends():
    register = claims.ambiguities("lkrnet").set_index("id")["recommended"]
    assert register["triplet_sampling"].startswith(zoo.MINING.replace("_", "-"))
    knobs = {"C2": "cnn_sift", "Multimodal": "multimodal", "LKRNet": "lkrnet"}
    for name, paper in knobs.items():
        assert parameters(notebook_path(paper))["normalisation"] == NETWORKS[name].normalisation


def test_light_is_taken_out_where_the_paper_takes_it_out(split):
    """A dark image reads as a bright one does, where each image is normalised by itself."""
    _, _, (learn, test) = split
    dark = Part(test.images // 2 * 2, test.labels, test.extra)
    halved = Part(test.images // 2, test.labels, test.extra)
    for name in ("C2", "VGG19", "LKRNet", "Multimodal"):
        feed = NETWORKS[name].feed(learn)
        change = (feed(dark, False)[0] - feed(halved, False)[0]).abs().max()
        assert (change < 0.01) == (NETWORKS[name].normalisation == "image")


def test_vgg19_learns_from_single_images_and_lkrnet_from_triplets(split):
    _, _, (learn, _) = split
    part, feed, loss = zoo.training_of(NETWORKS["VGG19"], learn, MILD)
    logits = torch.randn(4, 7)
    value, _ = loss((logits, None, None), torch.arange(4))
    assert value == torch.nn.functional.cross_entropy(logits, torch.arange(4))
    assert len(feed(part.take(torch.arange(4)), True)[0]) == 4
    part, feed, loss = zoo.training_of(NETWORKS["LKRNet"], learn, MILD)
    two_of_two = torch.cat([torch.nonzero(part.labels == label).flatten()[:2] for label in (0, 1)])
    assert len(feed(part.take(two_of_two), True)[0]) == 4  # triplets are found in the batch
    fed = part.labels[two_of_two]
    output = (logits, logits[:, None].repeat(1, 2, 1))
    by_class = torch.nn.functional.one_hot(fed, 8)[:, None].repeat(1, 2, 1).float()
    mixed = torch.eye(8)[torch.tensor([0, 1, 0, 1])][:, None].repeat(1, 2, 1)
    apart, together = (loss((*output, points), fed)[0] for points in (by_class, mixed))
    assert apart < together


def test_the_machine_is_scikit_learns(faces, split, tmp_path):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    fold, _, parts = split
    one = matrix.Bench(faces, Store(tmp_path), BUDGETS["smoke"], 1).train(SVM, fold, *parts)
    described = [hog.describe(part.images).numpy() for part in parts]
    machine = make_pipeline(StandardScaler(), LinearSVC(C=baselines.PENALTY, random_state=0))
    machine.fit(described[0], parts[0].labels.numpy())
    assert (one.outcome.test.argmax(1) == machine.predict(described[1])).all()
    assert np.allclose(one.outcome.test.sum(1), 1, atol=1e-6)


def test_a_class_without_training_images_is_never_chosen(split):
    _, _, (learn, test) = split
    some = learn.take(torch.nonzero(learn.labels < 5).squeeze(1))
    assert (zoo.fitted_svm(some, 7).predict(test)[:, 5:] == 0).all()


def test_a_network_is_trained_once_and_read_back(faces, split, tmp_path):
    fold, words, parts = split
    bench = matrix.Bench(faces, Store(tmp_path), BUDGETS["smoke"] | {"width": 0.05}, 2)
    one, again = (bench.train("LKRNet", fold, *parts) for _ in range(2))
    assert np.array_equal(one.outcome.test, again.outcome.test)
    assert np.allclose(again.predict(parts[1]), one.outcome.test, atol=1e-5)
    assert len(one.outcome.curves) == 2
    assert np.isnan(one.outcome.curves[0]["test_accuracy"])  # nothing looks at the test part
    fitted = matrix.Fitted(fold, words, parts[1], {"LKRNet": one})
    table = matrix.robustness(fitted, parts[1], ("low_brightness",), (1.0,))
    assert table["severity"].tolist() == [0.0, 1.0]
    clear = metrics.accuracy(parts[1].labels.numpy(), one.outcome.test.argmax(1))
    assert table["accuracy"][0] == pytest.approx(clear)
    assert matrix.images_per_second(one, parts[1], seconds=0.0) > 0


def test_what_must_be_found_is_timed_where_it_must_be_found(faces):
    spent = matrix.finding(faces, 3)
    assert spent["words"] > 0
    assert np.isnan(spent["landmarks"])
    photographs = replace(faces, photographs=faces.corpus.images)
    assert matrix.finding(photographs, 3)["landmarks"] > 0


def test_a_disturbed_face_is_disturbed_in_all_that_is_read_of_it(split):
    _, words, (_, test) = split
    dark = matrix_data.disturbed(test, "low_brightness", 1.0, words)
    assert dark.images.float().mean() < 0.2 * test.images.float().mean()
    assert dark.extra[CLIP].mean() < 0.2 * test.extra[CLIP].mean()
    assert not torch.equal(dark.extra[WORDS], test.extra[WORDS])
    assert torch.equal(dark.extra[LANDMARKS], test.extra[LANDMARKS])


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_probabilities_among_fewer_classes_sum_to_one_and_keep_their_order(n, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(7) * 0.1, n).astype(np.float32)
    common = ("anger", "sadness", "neutral")
    made = matrix.restricted(p, matrix_data.CLASSES, common)
    picked = p[:, [matrix_data.CLASSES.index(name) for name in common]]
    assert made.shape == (n, 3)
    assert np.allclose(made.sum(1), 1, atol=1e-5)
    assert (np.take_along_axis(picked, made.argmax(1)[:, None], 1)[:, 0] >= picked.max(1) - 1e-7).all()


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_beats(points):
    frame = pd.DataFrame(points, columns=["cost", "accuracy"], dtype=float)
    best = drawings.front(frame, "cost")

    def beaten(i):
        """Whether another is at least as good in both and better in one."""
        a = frame.loc[i]
        better = (frame["cost"] <= a["cost"]) & (frame["accuracy"] >= a["accuracy"])
        return (better & ((frame["cost"] < a["cost"]) | (frame["accuracy"] > a["accuracy"]))).any()

    assert not any(beaten(i) for i in best)
    kept = set(frame.loc[best].itertuples(index=False, name=None))
    assert all(beaten(i) or tuple(frame.loc[i]) in kept for i in frame.index)
    assert frame.loc[best, "cost"].is_monotonic_increasing


def test_figures_name_every_model():
    rows = [
        {"model": name, "paper": e.paper, "accuracy": 0.5, "low": 0.4, "high": 0.6}
        | {"multiply_adds": 10.0**i, "milliseconds": float("nan") if i == 3 else i + 1.0}
        for i, (name, e) in enumerate(NETWORKS.items())
    ]
    figure = drawings.pareto(pd.DataFrame(rows))
    for axes, absent in zip(figure.axes, (set(), {list(NETWORKS)[3]}), strict=True):
        assert {text.get_text() for text in axes.texts} == set(NETWORKS) - absent
        heights = sorted(text.get_position()[1] for text in axes.texts)
        assert min(b - a for a, b in pairwise(heights)) > 0.05  # none over another
    lost = pd.DataFrame({"low brightness": [-3.0, 1.5]}, index=["C2", "S2"])
    assert {text.get_text() for text in drawings.losses(lost).axes[0].texts} == {"-3.0", "+1.5"}


def test_a_study_is_run_as_a_paper_is_and_has_no_claims():
    values = preflight.asked("matrix", {}, ["k=3"])
    assert values["k"] == 3
    with pytest.raises(FerError, match="should be of type int"):
        preflight.asked("matrix", {}, ["k=many"])
    with pytest.raises(FerError, match=r"Known: .*matrix"):
        preflight.asked("matrices of all", {})


def test_parts_hold_one_column_per_place(split):
    _, _, (learn, test) = split
    for part in (learn, test):
        assert isinstance(part, Part)
        assert [tuple(x.shape[1:]) for x in part.extra] == [(68, 2), (6, 2), (512,), (10, 48, 48)]


def test_stills_without_words_are_moved_all_the_same(faces):
    part = zoo.part(faces.corpus)
    assert [tuple(x.shape[1:]) for x in part.extra[2:]] == [(0,), (0,)]
    assert torch.equal(zoo.augmented(part, MIRROR).images, part.images.flip(2))
