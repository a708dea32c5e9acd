"""The explore panel without a browser: a widget is changed, and what is shown changes."""

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text
from PIL import Image

from fer_lib.data.datasets import synthetic
from fer_lib.errors import FerError
from fer_lib.evidence import runs
from fer_lib.evidence.provenance import defaults
from fer_lib.expressions import EXPRESSIONS
from fer_lib.learn.precision import Precision
from fer_lib.play import explore, explore_faces, explore_models, explore_runs
from fer_lib.play.zoo import NETWORKS, REACH, SVM

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "explore.ipynb"


@pytest.fixture(scope="module")
def panel():
    made = explore.Panel(network=SVM)
    made._on_corpus({})
    assert "fault" not in made.message.value
    made.train()
    return made


@pytest.fixture
def fresh(panel):
    """The panel as it begins."""
    panel.model.value, panel.expression.value, panel.target.value = SVM, "any", "what it answers"
    panel.photo = None
    panel._on_reset(None)
    return panel


@pytest.fixture(scope="module")
def photo():
    """A drawn face as the PNG file that someone brings."""
    return encoded(synthetic.generate(1, 1, size=200).images[3])


@pytest.fixture
def brief(tmp_path, monkeypatch):
    """Networks train for one epoch, into a cache of their own, and no second process looks at precision."""
    monkeypatch.setenv("FER_CACHE", str(tmp_path))
    short = {n: replace(s, recipe={**s.recipe, "epochs": 1}) for n, s in explore_models.SMALL.items()}
    monkeypatch.setattr(explore_models, "SMALL", short)
    monkeypatch.setattr(explore_models.training, "decide", lambda *_: Precision("fp32", "not looked at"))


def another(panel, **options):
    """Return a further panel with the corpus that the first has loaded."""
    made = explore.Panel(**options)
    made._collections = panel._collections
    made._on_corpus({})
    return made


@pytest.fixture
def nothing_trains(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("nobody asked for training")

    monkeypatch.setattr(explore_models.training, "fit", refuse)
    monkeypatch.setattr(explore_models.zoo, "fitted_svm", refuse)


def encoded(pixels, form="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def written(panel):
    """Return every text of the panel's picture."""
    return [text.get_text() for text in panel.figure.findobj(Text) if text.get_text()]


def bring(panel, data, name):
    row = {"name": name, "type": "", "size": len(data), "content": memoryview(data)}
    panel.upload.value = (row | {"last_modified": datetime.now(UTC)},)


def test_the_faces_are_held_out_and_framed(panel):
    train, held = panel.collection.train, panel.collection.held
    assert not set(train.subjects) & set(held.subjects)
    assert held.images.shape[1:] == (48, 48)
    assert panel.face.ids[0] in held.ids
    level = np.ptp(explore_faces.faces.eyes(held.landmarks)[:, :, 1], axis=1)
    assert level.max() < 0.01  # both eyes are equally high


def test_nothing_trains_before_the_button_is_pressed(fresh, brief, nothing_trains):
    panel = another(fresh)
    panel.sliders["mouth"].value = 0.5
    panel.model.value = "LKRNet"
    assert "fault" not in panel.message.value
    assert not panel.teach.disabled
    with pytest.raises(FerError, match=r"LKRNet .* not trained .* press the button"):
        panel.network  # noqa: B018 (asked for, and nothing more)
    assert any("not trained yet" in text for text in written(panel))
    assert "to train on" in panel.about.value
    panel.teach.click()
    assert "nobody asked for training" in panel.message.value


def test_the_button_trains_with_progress_and_what_was_trained_is_read_back(fresh, brief, monkeypatch):
    panel = another(fresh, network="C2")
    heard = []
    panel.bar.observe(lambda change: heard.append(change["new"]), "value")
    monkeypatch.setattr(explore.time, "monotonic", count().__next__)  # however fast the machine is
    panel.teach.click()
    assert "fault" not in panel.message.value
    assert heard[-1] == 1
    assert panel.bar.layout.visibility == "hidden"
    assert panel.teach.disabled
    answer = panel.probabilities
    again = another(fresh, network="C2")
    assert again.probabilities == pytest.approx(answer, abs=1e-5)


def test_the_panel_says_what_the_network_is_and_is_not(fresh):
    said = fresh.about.value
    assert f"{fresh.network.accuracy:.0%}" in said
    assert "18 people" in said
    assert "not the chapter" in said
    assert "drawn" in said
    assert fresh.network.accuracy > 2 / 7


KEPT = {
    ("control", "mini-Xception"): {},
    ("cnn_sift", "C2"): {"width": 0.0625},
    ("multimodal", "OURS"): {"width": 0.03125},
    ("cspp", "C-SPP"): {"width": 0.125, "activation": "tanh"},
    ("lkrnet", "Our method"): {"width": 0.0625},
    ("matrix", "Multimodal"): {"width": 1, "widths": {"Multimodal": 0.03125}},
}


def keep(results, paper, name, plan, classes=EXPRESSIONS[:7]):
    """Leave a run of an untrained network that kept its weights; return what the panel calls it."""
    recorder = runs.Recorder(paper, "synthetic", "smoke", 0, root=results, parameters=defaults(paper))
    recorder.info = {"classes": list(classes), "plan": plan}
    labels, answers = (np.array(codes) % len(classes) for codes in ([0, 1, 2, 3, 4, 5, 0], range(7)))
    recorder.add_predictions(name, np.eye(len(classes))[answers], labels, list("abcdefg"), "fold-1")
    facts = {"ids": list("abcdefg"), "fold": "fold-1", "subject": list("ppqqrrs")}
    recorder.add_samples(pd.DataFrame(facts))
    width = plan.get("widths", {}).get(name, plan.get("width"))
    own = {"activation": "tanh"} if paper == "cspp" else {}
    model = explore_runs.OFFERED[paper, name].build(len(classes), width=width, **own)
    statistics = {"mean": torch.tensor(127.0), "std": torch.tensor(60.0), "mean_face": torch.rand(68, 2)}
    path = recorder.checkpoint(f"{name} fold-1.weights.pt")
    torch.save({"weights": model.state_dict(), "statistics": statistics}, path)
    recorder.commit()
    return f"{name}: synthetic, smoke, seed0"


@pytest.mark.parametrize(("paper", "name"), KEPT)
def test_a_network_that_a_run_kept_is_built_again_and_answers(panel, tmp_path, paper, name):
    title = keep(tmp_path, paper, name, KEPT[paper, name])
    network = explore_runs.found(tmp_path)[title].load()
    assert (network.accuracy, network.n) == (pytest.approx(6 / 7), 7)
    assert "its run tested (fold-1)" in explore_models.about(network, panel.collection, False)
    few = panel.collection.held.select(np.arange(3))
    assert np.allclose(network.probabilities(few).sum(1), 1, atol=1e-5)
    assert network.evidence(few).shape == network.seen(few).shape


def test_networks_of_runs_are_listed_and_shown_beside_one_another(fresh, tmp_path):
    title = keep(tmp_path, "control", "mini-Xception", {})
    panel = another(fresh, network=SVM, results=tmp_path)
    panel.train()
    size = Image.open(io.BytesIO(panel.image.value)).size
    panel.beside.value = title
    assert panel.teach.disabled
    assert {"The first", "The one beside it", "What the other reads"} <= set(written(panel))
    assert any(title in text for text in written(panel))
    assert title in panel.about.value
    assert Image.open(io.BytesIO(panel.image.value)).size == size
    panel.save(tmp_path / "picture.png")
    assert json.loads(Image.open(tmp_path / "picture.png").text["Description"])["beside"] == title
    panel.target.value = "fear"
    assert "Grad-CAM: fear" in written(panel)
    (path,) = tmp_path.glob("control/*/*/*/weights/*.pt")
    path.write_bytes(b"damaged")
    panel._networks.clear()
    panel.model.value = title
    assert "cannot be used" in panel.message.value


def test_a_network_that_lacks_the_chosen_expression_says_so(fresh, tmp_path):
    title = keep(tmp_path, "control", "mini-Xception", {}, EXPRESSIONS[:2])
    panel = another(fresh, network=SVM, results=tmp_path)
    panel.beside.value = title
    panel.target.value = EXPRESSIONS[1]
    assert "does not know" not in panel.message.value
    panel.target.value = EXPRESSIONS[2]
    assert f"{title} does not know {EXPRESSIONS[2]}" in panel.message.value


def test_covering_the_mouth_changes_probabilities_and_pictures(fresh):
    before, picture = fresh.probabilities, fresh.image.value
    assert sum(before.values()) == pytest.approx(1, abs=1e-5)
    fresh.sliders["mouth"].value = 1.0
    assert max(abs(fresh.probabilities[k] - before[k]) for k in before) > 0.01
    assert fresh.image.value != picture
    answer = max(fresh.probabilities, key=fresh.probabilities.get)
    assert {"Cover the mouth", "uncovered", "covered", "Probability (%)"} <= set(written(fresh))
    (bold,) = (t for t in fresh.figure.axes[0].get_yticklabels() if t.get_fontweight() == "bold")
    assert bold.get_text().startswith(answer)
    fresh.reset.click()
    assert fresh.probabilities == before


def test_every_part_of_the_picture_keeps_its_place(fresh, photo):
    """Nothing jumps, whatever is shown: the size of the picture and the place of each part are the same."""

    def places():
        size = Image.open(io.BytesIO(fresh.image.value)).size
        return size, [axes.get_subplotspec().get_position(fresh.figure).bounds for axes in fresh.figure.axes]

    before = places()
    fresh.sliders["light"].value = -0.5
    assert places() == before
    bring(fresh, photo, "me.png")
    assert places() == before
    fresh.expression.value = "happiness"  # the longest name
    assert places() == before
    assert min(text.get_window_extent().x0 for text in fresh.figure.findobj(Text)) >= 0


def test_the_picture_is_saved_with_what_it_was_made_with(fresh, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fresh.sliders["eyes"].value = 0.5
    fresh.keep.click()
    fresh.keep.click()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["explore-1.png", "explore-2.png"]
    assert str(tmp_path / "explore-2.png") in fresh.message.value
    made_with = json.loads(Image.open(tmp_path / "explore-1.png").text["Description"])
    assert (made_with["network"], made_with["eyes"]) == (SVM, 0.5)
    with pytest.raises(FerError, match="cannot be written"):
        fresh.save(tmp_path / "absent" / "picture.png")


@pytest.mark.parametrize("name", explore_faces.INTERFERENCE)
def test_every_slider_does_something_and_its_curve_begins_at_nothing(fresh, name):
    severities, series = explore_faces.along(fresh.face, name)
    untouched = np.flatnonzero(np.isclose(severities, 0))
    assert np.array_equal(series.images[untouched[0]], fresh.face.images[0])
    assert not np.array_equal(series.images[-1], fresh.face.images[0])


def test_another_expression_shows_another_face(fresh):
    fresh.expression.value = "surprise"
    assert fresh.face.classes[fresh.face.labels[0]] == "surprise"
    assert fresh.index.max == (fresh.collection.held.labels == 5).sum()
    first = fresh.image.value
    fresh.index.value = 2
    assert fresh.image.value != first
    assert any(text.startswith("surprise, ") for text in written(fresh))


def test_a_network_with_convolutions_has_grad_cam_and_one_without_says_so(fresh, brief):
    assert fresh.network.evidence(fresh.disturbed) is None
    assert any("no convolution" in text for text in written(fresh))
    fresh.model.value = "C-SPP"
    fresh.train()
    some = fresh.collection.held.select(np.arange(0, 126, 6))
    maps = fresh.network.evidence(some)
    assert maps.shape == fresh.network.seen(some).shape == (21, 48, 48)
    assert 0 <= maps.min() < maps.max() <= 1  # of a single face nothing may speak for the answer
    assert f"Grad-CAM: {max(fresh.probabilities, key=fresh.probabilities.get)}" in written(fresh)
    fresh.target.value = "fear"
    assert {"Grad-CAM: fear", "Key regions", "HOG", "SIFT words", "Landmarks"} <= set(written(fresh))


def test_a_drawn_face_brought_as_png_is_found_and_classified(fresh, photo):
    bring(fresh, photo, "me.png")
    assert "fault" not in fresh.message.value
    assert fresh.face.images.shape == (1, 48, 48)
    assert sum(fresh.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert "Your photo" in written(fresh)
    assert "play" in fresh.about.value
    assert fresh.frame["side"].layout.visibility == "visible"
    fresh.expression.value = "anger"  # back to the corpus
    assert fresh.photo is None
    assert "Your photo" not in written(fresh)
    assert fresh.frame["side"].layout.visibility == "hidden"


def test_where_no_face_is_found_one_puts_the_frame_on_it(fresh, photo):
    from skimage.data import astronaut

    face = Image.fromarray(astronaut()).convert("L")
    bring(fresh, encoded(np.asarray(face)), "astronaut.png")
    assert "No face was found" in fresh.message.value
    assert "put the frame" in fresh.message.value
    assert "fault" not in fresh.message.value
    before = fresh.photo.box, fresh.image.value
    for name, value in (("across", 0.43), ("down", 0.22), ("side", 0.25)):
        fresh.frame[name].value = value
    assert not np.array_equal(fresh.photo.box, before[0])
    assert fresh.image.value != before[1]
    left, top, width, height = fresh.photo.box
    assert (width, height) == (128, 128)
    assert (left + width / 2, top + height / 2) == pytest.approx((0.43 * 512, 0.22 * 512))
    assert sum(fresh.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_a_face_that_a_photograph_shows_small_is_framed_like_the_corpus(photo):
    small = np.full((600, 800), 120, np.uint8)
    small[200:400, 300:500] = np.asarray(Image.open(io.BytesIO(photo)))
    found = explore_faces.photograph(encoded(small))
    left, top, width, height = found.box
    assert 280 <= left < left + width <= 520
    assert 180 <= top < top + height <= 420
    eyes = explore_faces.faces.eyes(found.face.landmarks)[0]
    assert np.ptp(eyes[:, 1]) < 0.01
    usual = 48 / (2 * REACH["beside"])
    assert (eyes[1, 0] - eyes[0, 0]) / 2 == pytest.approx(usual, abs=0.1)


def test_a_photograph_held_sideways_is_turned_as_the_camera_says(photo):
    upright = np.asarray(Image.open(io.BytesIO(photo)))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned to the left
    assert np.array_equal(explore_faces.read_photo(encoded(np.rot90(upright), exif=exif)), upright)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"Dear network, how do I look?", "no image that can be read"),
        (b"", "no image that can be read"),
        (encoded(np.full((90, 90), 60, np.uint8))[:60], "no image that can be read"),
        (b"\x89PNG" + bytes(9_000_000), "at most 8 are taken"),
        (encoded(np.zeros((1, 5000), np.uint8)), "No face was found"),
        (encoded(np.full((90, 90), np.nan, np.float32), "TIFF"), "no image that can be read"),
    ],
    ids=["text", "nothing", "cut off", "large", "a line", "no levels"],
)
def test_what_is_no_photograph_of_a_face_gets_a_sentence(fresh, data, sentence):
    before = fresh.image.value
    bring(fresh, data, "file")
    assert sentence in fresh.message.value
    assert "went wrong that should not" not in fresh.message.value
    assert fresh.image.value == before
    assert fresh.photo is None


@pytest.mark.parametrize(
    ("form", "kind"), [("PNG", "<u2"), ("TIFF", ">u2"), ("TIFF", "<i4"), ("TIFF", "<f4")]
)
def test_deeper_grey_levels_are_scaled_and_not_cut_off(form, kind):
    levels = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(kind)
    np.testing.assert_allclose(explore_faces.read_photo(encoded(levels, form)), levels / 257, atol=0.51)
    dark = np.full((8, 8), 2570, kind)
    dark[0, 0] = 65535  # the white of 16 bits, and the brightest of 32, where the darkest is black
    assert explore_faces.read_photo(encoded(dark, form))[1, 1] == (10 if kind.endswith("u2") else 0)


def test_an_image_that_announces_too_many_pixels_is_not_decoded(monkeypatch):
    monkeypatch.setattr(explore_faces, "MEGAPIXELS", 0.01)
    with pytest.raises(FerError, match="million"):
        explore_faces.read_photo(encoded(np.zeros((200, 100), np.uint8)))


def test_an_absent_corpus_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(FerError, match="JAFFE"):
        explore.Panel("jaffe", data_dir=tmp_path)
    with pytest.raises(FerError, match="Did you mean"):
        explore.Panel(network="CSPP")


def test_a_corpus_that_cannot_be_read_leaves_the_panel_as_it_was(fresh, monkeypatch):
    def refuse(*arguments):
        raise FerError("It is damaged.")

    fresh.corpus.options = [*fresh.corpus.options, ("JAFFE", "jaffe")]
    monkeypatch.setattr(explore_faces, "collection", refuse)
    fresh.corpus.value = "jaffe"
    assert "It is damaged." in fresh.message.value
    assert fresh.corpus.value == "synthetic"
    fresh.sliders["eyes"].value = 0.5
    assert fresh.message.value == ""


@pytest.mark.parametrize("name", explore_models.SMALL)
def test_every_network_trains_answers_and_shows_what_it_reads(panel, name, brief):
    few = panel.collection.train.select(np.arange(0, 378, 9)), panel.collection.held.select(np.arange(9))
    network = explore_models.explored(name, *few)
    assert network.n == 9
    assert network.low <= network.accuracy <= network.high
    probabilities = network.probabilities(few[1])
    assert probabilities.shape == (9, 7)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    seen, maps = network.seen(few[1]), network.evidence(few[1], 3)
    assert 0 <= seen.min() <= seen.max() <= 1
    assert (maps is None) == (NETWORKS[name].layer is None)
    assert maps is None or maps.shape == seen.shape


def test_weights_are_the_same_whenever_they_are_made_and_read_back(panel, brief, tmp_path, monkeypatch):
    few = panel.collection.train.select(np.arange(0, 378, 6))
    parts = few, panel.collection.held.select(np.arange(0, 126, 4))
    made = []
    for folder in ("one", "two", "two"):
        monkeypatch.setenv("FER_CACHE", str(tmp_path / folder))
        made.append(explore_models.explored("C2", *parts).trained.model.state_dict())
    kept = next((tmp_path / "two" / "explore").glob("*/*.npy"))
    for name, value in made[0].items():
        assert torch.equal(value, made[1][name])
        assert torch.equal(value, made[2][name])
    kept.write_bytes(b"damaged")
    again = explore_models.explored("C2", *parts).trained.model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in made[0].items())


def test_the_notebook_ends_with_the_panel_and_hides_its_code():
    cells = nbformat.read(NOTEBOOK, 4).cells
    assert "explore.explore(" in cells[-1].source  # JupyterLab shows the last cell after Run All
    assert cells[-1].metadata.jupyter.source_hidden


def test_the_notebook_runs_from_top_to_bottom_and_its_examples_do(fresh, tmp_path):
    from nbclient import NotebookClient

    book = nbformat.read(NOTEBOOK, 4)
    NotebookClient(book, timeout=600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert len(outputs) == 1
    assert "application/vnd.jupyter.widget-view+json" in outputs[0].data
    (example,) = re.findall("```python\n(.*?)```", "".join(c.source for c in book.cells), re.DOTALL)
    names = {"panel": fresh}
    exec(example, names)
    assert len(names["answers"]) == 3
    assert [row["mouth covered"] for row in names["rows"]] == [0.0, 0.5, 1.0]
