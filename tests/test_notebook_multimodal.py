"""Chapter 2: its first cells, what its evidence at budget smoke must show, and the mechanics behind it."""

from dataclasses import replace

import nbformat
import numpy as np
import pytest
import torch

from fer_lib import faces
from fer_lib.claims import load
from fer_lib.data import datasets, splits
from fer_lib.errors import FerError
from fer_lib.evidence.provenance import notebook_path
from fer_lib.features.robustness import CONDITIONS, disturb
from fer_lib.files import UnitFolder
from fer_lib.judge import convergence
from fer_lib.learn import metrics, side_by_side
from fer_lib.learn.recipes import Recipe
from fer_lib.learn.units import train_unit
from fer_lib.papers.multimodal import processed
from fer_lib.papers.multimodal.interference import KEPT, Interference
from fer_lib.papers.multimodal.modalities import AUGMENTATION
from fer_lib.papers.multimodal.trainer import (
    ABLATIONS,
    LATE_FUSION,
    OWN_RECIPE,
    RIVALS,
    Trainer,
    own_recipe,
    rates,
    some,
    with_late_fusion,
)

TRAINED = [name for name in (*ABLATIONS, *RIVALS) if name not in OWN_RECIPE]  # at budget smoke
MODELS = (*TRAINED, "late fusion", "SVM")
ASKED = ("OURS", *LATE_FUSION, "VGG", "ResNet", "SVM")


@pytest.fixture(scope="module")
def smoke(smoke_of):
    return smoke_of("multimodal")


def first_cells(**readings):
    """Run the notebook up to its banner with some parameters changed; return its names."""
    cells = [c.source for c in nbformat.read(notebook_path("multimodal"), 4).cells if c.cell_type == "code"]
    names = {}
    exec(cells[0], names)
    names |= readings
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_STAGE", "stage")  # as `fer run` has it
        exec(cells[1], names)
    return names


@pytest.mark.parametrize(
    "dataset, budget, said, unsaid",
    [
        ("fer2013", "full", ["not 500", "VGG's at 50.0%", "no OURS without CBAM, "], "images only"),
        ("fer2013", "smoke", ["800 training images only", "12.5% of its width"], "folds"),
        ("fer2013", "probe", ["3,000 training images only"], "VGG"),
        ("ckplus", "full", ["not 500"], "folds only"),
        ("ckplus", "paper", [], ""),
    ],
)
def test_the_banner_says_what_the_budget_left_out(dataset, budget, said, unsaid):
    changes = "; ".join(first_cells(dataset=dataset, budget=budget)["chapter"].changes)
    assert all(phrase in changes for phrase in said)
    assert unsaid not in changes if unsaid else not changes


def test_the_rate_falls_to_a_hundredth_and_stays_there_for_the_last_fifth():
    made = rates("falling", 15, 0.001)
    assert made[0] == 0.001
    assert list(made) == sorted(made, reverse=True)
    assert made[12:] == (1e-5,) * 3
    assert made[11] > 1e-5
    assert rates("constant", 15, 0.001) is None


# --- evidence ---------------------------------------------------------------------------------------------


def accuracy(run, model):
    rows = run.predictions(model)
    return metrics.accuracy(rows["labels"], rows["probabilities"].argmax(1))


def test_every_network_is_tested_on_the_same_images(smoke):
    ids = [smoke.predictions(name)["ids"] for name in MODELS]
    assert all((other == ids[0]).all() for other in ids)
    assert {f"{name}@random" for name in ("OURS", "VGG", "ResNet", "SVM")} <= set(smoke.models())
    held, random = (smoke.info["certificates"][name] for name in ("subject", "random"))
    assert held["subjects_shared"] == 0 < random["subjects_shared"]


def test_every_class_has_its_figure_for_every_model(smoke):
    table = smoke.table("by_class").set_index("model")
    assert list(table.index) == list(MODELS)
    assert table.loc["OURS", "overall"] == pytest.approx(100 * accuracy(smoke, "OURS"))
    recalls = table[list(smoke.info["classes"])]
    assert table["class mean"].tolist() == pytest.approx(recalls.mean(axis=1).tolist())
    assert table["AUC"].between(0, 100).all()


def test_every_face_counts_as_found_on_synthetic_faces(smoke):
    table = smoke.table("detection")
    assert (table["detected"] == table["images"]).all()
    assert not any("@whole" in name or "@dropped" in name for name in smoke.models())


def test_late_fusion_is_the_mean_of_the_networks_of_one_modality(smoke):
    mean = np.mean([smoke.predictions(name)["probabilities"] for name in LATE_FUSION], axis=0)
    np.testing.assert_allclose(smoke.predictions("late fusion")["probabilities"], mean, atol=2e-3)


def test_the_judge_finds_every_network_that_a_claim_of_order_names(smoke):
    """But for the images that were dropped: of synthetic faces, none are."""
    known = set(smoke.models()) | {"OURS@dropped"}
    for claim in load("multimodal").order:
        if claim.decided_by != "running" or "measured" in claim.test:
            continue
        sums = claim.test.get("contrasts", [])
        named = {model for one in sums for _, model in one}
        named |= {*claim.test.get("better", []), *claim.test.get("worse", [])}
        assert named <= known, claim.id


def test_what_a_model_rests_on_has_a_curve_or_none_to_have(smoke):
    asked = {name: [made.model for made in convergence.of_run(smoke, name)] for name in MODELS}
    assert asked["late fusion"] == list(LATE_FUSION)
    assert asked["SVM"] == []
    assert asked["OURS"] == ["OURS"]
    on_covered = convergence.of_run(smoke, "OURS@occlusion_eye")
    assert [made.model for made in on_covered] == ["OURS"]


def test_the_same_pass_twice_is_the_same(smoke):
    table = smoke.table("ten_predictions").set_index("what is averaged")
    assert table.loc["the same pass twice", "largest difference in a probability"] == 0
    assert table.loc["the same pass twice", "accuracy"] == table.loc["one pass", "accuracy"]
    assert table["largest difference in a probability"].iloc[3] > 0.01
    for name in table.index:
        assert (smoke.predictions(f"OURS@{name}")["ids"] == smoke.predictions("OURS")["ids"]).all()


def test_robustness_is_swept_for_every_condition_and_kept_for_every_image(smoke):
    table = smoke.table("robustness")
    assert tuple(dict.fromkeys(table["condition"])) == CONDITIONS
    severities = [0.0, *smoke.info["plan"]["severities"]]
    assert all(row == severities for row in table.groupby(["condition", "model"])["severity"].agg(list))
    assert set(table["model"]) == {*ASKED}  # nothing is looked for in drawings
    # Undisturbed, a network answers alike whatever the condition is called.
    calm = table[table["severity"] == 0].groupby("model")["accuracy"]
    assert (calm.nunique() == 1).all()
    assert calm.first()["OURS"] == pytest.approx(accuracy(smoke, "OURS"), abs=0.01)
    strongest = table[table["severity"] == 1].set_index(["model", "condition"])["accuracy"]
    for (model, condition), share in strongest.items():
        assert accuracy(smoke, f"{model}@{condition}") == pytest.approx(share)


def test_differences_are_paired_with_every_rival(smoke):
    table = smoke.table("differences")
    assert {c.split(" minus ")[1] for c in table["comparison"]} == {*MODELS} - {"OURS"}


def test_pictures(smoke):
    names = {path.stem for path in (smoke.path / "figures").glob("*.png")}
    assert {"modalities", "robustness", "roc", "attention", "grad_cam", "confusion", "curves"} <= names


def test_speed_is_measured(smoke):
    table = smoke.table("speed")
    assert {"HOG", "OURS", "VGG", "ResNet", "SVM"} == set(table["step"])  # no search for faces in drawings
    assert (table["milliseconds"] > 0).all()


# --- mechanics --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus():
    return datasets.synthetic.generate(n_subjects=6, per_expression=1)


@pytest.fixture
def photographs(corpus, monkeypatch):
    """Faces of which every fourth is not found; in the whole image, dlib puts landmarks one pixel off."""
    card = replace(corpus.card, synthetic=False)
    found = np.arange(len(corpus)) % 4 > 0
    marks = np.where(found[:, None, None], corpus.landmarks, np.nan)

    def landmarks(images, boxes=None):
        assert boxes is None or (boxes == [0, 0, 48, 48]).all()
        at = [int(np.flatnonzero((corpus.images == image).all((1, 2)))[0]) for image in images]
        return corpus.landmarks[at] + 1

    monkeypatch.setattr(faces, "annotate", lambda c, method: replace(c, valid=found, landmarks=marks))
    monkeypatch.setattr(faces, "landmarks", landmarks)
    return replace(corpus, card=card)


def test_noise_is_read_and_aligned_by_the_landmarks_of_the_whole_image(corpus, photographs):
    read = processed.searched(photographs)
    lost = ~read.valid
    np.testing.assert_array_equal(read.landmarks[lost], corpus.landmarks[lost] + 1)
    np.testing.assert_array_equal(read.landmarks[~lost], corpus.landmarks[~lost])
    made = processed.aligned(read)
    eyes = faces.eyes(made.landmarks)
    # Level and at one place, in found and lost faces alike.
    np.testing.assert_allclose(eyes, np.broadcast_to(eyes[:1], eyes.shape), atol=1e-3)
    assert np.abs(eyes[0, 0, 1] - eyes[0, 1, 1]) < 1e-3
    assert (made.valid == read.valid).all()
    assert processed.aligned(read, "none").images is read.images
    with pytest.raises(FerError, match="Unknown align"):
        processed.aligned(read, "nose")


def test_without_any_face_there_is_nothing_to_train_on(photographs, monkeypatch):
    monkeypatch.setattr(faces, "annotate", lambda c, method: replace(c, valid=np.zeros(len(c), bool)))
    with pytest.raises(FerError, match="no face in any of the"):
        processed.searched(photographs)


class Store(dict):
    """Predictions by name, as a recorder stores them."""

    def add_predictions(self, model, probabilities, labels, ids, fold):
        self[model] = probabilities
        return {"probabilities": probabilities}


def test_landmarks_are_looked_for_in_the_disturbed_image(corpus, photographs, monkeypatch):
    read = processed.searched(photographs)
    read = read.select(read.valid)
    seen = []

    def landmarks(images, boxes=None):
        seen.append(images)
        return read.landmarks + 2

    monkeypatch.setattr(faces, "landmarks", landmarks)
    asked = {
        "OURS": lambda part: torch.nn.functional.one_hot((part.extra[0].sum((1, 2)) > 0).long(), 8).numpy()
    }
    given = []

    def part(of):
        given.append(of)
        return Trainer(of, None, None, {}, torch.device("cpu"), 1.0, {}).part(of)

    interference = Interference(read, "eyes", asked, part)
    kept, found, detected = interference.disturbed("occlusion_eye", 1.0)
    covered = disturb(torch.tensor(read.images), "occlusion_eye", 1.0, torch.tensor(read.landmarks)).numpy()
    np.testing.assert_array_equal(seen[0], covered)
    np.testing.assert_array_equal(kept.images, found.images)  # aligned by the eyes of the clear image
    np.testing.assert_allclose(kept.landmarks, processed.aligned(read).landmarks, atol=1e-4)
    assert not np.allclose(kept.landmarks, found.landmarks, atol=0.5)
    assert detected.all()
    clear, same, _ = interference.disturbed("occlusion_eye", 0.0)
    assert clear is same

    store = Store()
    table = interference.sweep((0.5, 1.0), store, "official")
    assert set(store) == {f"{model}@{condition}" for model in ("OURS", KEPT) for condition in CONDITIONS}
    assert set(table["model"]) == {"OURS", KEPT}
    assert (table["detected"] == 1).all()


def test_stand_ins_for_the_four_images_are_right_undisturbed(corpus):
    truth = {image.tobytes(): label for image, label in zip(corpus.images, corpus.labels, strict=True)}

    def ask(part):
        """Know the faces by heart, and be at a loss for any that is changed."""
        said = [truth.get(image.numpy().tobytes(), 0) for image in part.images]
        return np.eye(8)[said]

    part = Trainer(corpus, None, None, {}, torch.device("cpu"), 1.0, {}).part
    interference = Interference(corpus.select(corpus.labels > 0), "none", {"OURS": ask}, part)
    table, pictures, titles = interference.four_images(["OURS"])
    assert len(titles) == 4
    assert set(table["image"]) == set("ABCD")
    assert table["expression"].nunique() == 4
    assert (table["OURS"] == "NULL").tolist() == (table["condition"] != "original").tolist()
    assert {name: images.shape for name, images in pictures.items()} == dict.fromkeys(
        ("original", "1", "2"), (4, 48, 48)
    )
    wrong = Interference(corpus.select(corpus.labels > 0), "none", {"OURS": lambda p: 1 - ask(p)}, part)
    assert wrong.four_images(["OURS"])[0].empty


def test_a_trainer_trains_asks_and_warps(corpus, tmp_path):
    readings = {
        "conv_channels": 16,
        "bn_scope": "all",
        "cbam_position": "before_pool",
        "fusion": "concatenate",
        "dropout": 0.0,
        "hog": "coarse",
        "landmark_norm": "centred",
        "normalisation": "global",
    }
    recipe = Recipe(epochs=1, batch_size=16)
    trainer = Trainer(
        corpus, UnitFolder(tmp_path), recipe, readings, torch.device("cpu"), 0.05, {"VGG": 0.05}
    )
    fold = splits.kfold(corpus, 2)[0]
    outcome = trainer.train(["landmarks"], fold, keep=True)["landmarks"]
    said = trainer.asked("landmarks", fold, outcome)(trainer.part(fold.test))
    np.testing.assert_allclose(said, outcome.test, atol=1e-5)
    warped = trainer.augmented("landmarks", fold, outcome, 2)
    assert warped.shape == said.shape
    assert not np.allclose(warped, said, atol=1e-3)
    (other,) = trainer.again("landmarks", fold, [1])
    assert not np.allclose(other.test, outcome.test, atol=1e-3)
    assert len(trainer.feed("VGG", fold)(trainer.part(fold.test), False)) == 1
    machine = trainer.svm(fold)(trainer.part(fold.test))
    assert (machine.argmax(1) == corpus.labels[fold.test]).mean() > 1 / len(corpus.classes)


def test_networks_are_trained_by_processes_of_their_own(corpus, tmp_path, monkeypatch):
    def found(store, unit, **job):
        assert store.unit(unit) is not None  # a process has trained it
        return train_unit(store, unit, **job)

    monkeypatch.setattr(side_by_side, "train_unit", found)
    readings = {"hog": "coarse", "landmark_norm": "centred", "normalisation": "global", "bn_scope": "all"}
    readings |= {"conv_channels": 16, "cbam_position": "before_pool", "fusion": "concatenate", "dropout": 0.0}
    settings = Recipe(epochs=1, batch_size=16), readings, torch.device("cpu"), 0.05, {"VGG": 0.05}
    trainer = Trainer(corpus, UnitFolder(tmp_path), *settings, workers=2)
    assert list(trainer.train(["image", "VGG"], splits.kfold(corpus, 2)[0])) == ["image", "VGG"]


def test_rivals_are_trained_once_more_under_a_recipe_of_their_own(corpus, tmp_path):
    recipe = Recipe(epochs=1, batch_size=16, lr=0.001, augmentation=AUGMENTATION)
    own = own_recipe(recipe)
    assert (own.optimiser, own.learning_rate(0), own.augmentation) == ("sgd", 0.03, AUGMENTATION)
    readings = {"hog": "coarse", "landmark_norm": "centred", "normalisation": "global"}
    trainer = Trainer(corpus, UnitFolder(tmp_path), recipe, readings, torch.device("cpu"), 1.0, {"VGG": 0.05})
    fold = splits.kfold(corpus, 2)[0]
    answers = [outcome.test for outcome in trainer.train(["VGG", "VGG, own recipe"], fold).values()]
    assert answers[0].shape == answers[1].shape
    assert not np.allclose(*answers, atol=1e-3)


def test_a_part_of_a_fold_tests_only_what_is_in_it(corpus):
    fold = splits.kfold(corpus, 2)[0]
    here = corpus.labels > 2
    assert (corpus.labels[some(fold, here).test] > 2).all()
    assert (some(fold, here).train == fold.train).all()


def test_without_its_members_there_is_no_late_fusion():
    assert set(with_late_fusion({"OURS": np.ones((1, 2))})) == {"OURS"}
