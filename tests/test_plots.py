"""Every figure shows what it was given, in one style, and leaves pyplot as it was."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from fer_lib import claims
from fer_lib.show import plots
from fer_lib.show.plots import style
from fer_lib.show.plots.pictures import grad_cam_grid

CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (10, 12, 12), dtype=np.uint8)
RECALL = pd.DataFrame(
    [
        {"model": m, "expression": c, "recall": 0.5 + 0.05 * i, "low": 0.4, "high": 0.9}
        for m in ("CNN-ONLY", "CNN-SIFT")
        for i, c in enumerate(CLASSES)
    ]
)
SIZES = pd.DataFrame(
    {"n": [500, 100, 500, 100], "model": ["C1", "C1", "S1", "S1"], "accuracy": [0.6, 0.4, 0.5, 0.3]}
).assign(low=lambda f: f["accuracy"] - 0.05, high=lambda f: f["accuracy"] + 0.05)

EFFECTS = pd.DataFrame(
    {
        "label": ["b = 2", "c = 3", "a = 1"],
        "group": ["two", "one", "one"],
        "value": [4, 0.5, -1.0],
        "low": [2, -2, -3.0],
        "high": [6, 3, 1.0],
        "spread": [2, np.nan, 1.5],
        "clear": [True, False, False],
    }
)


def learning(models=("C1", "C2", "S1"), folds=1, epochs=4):
    """Curves of an evidence folder: validation at every epoch, test only at the last."""
    rows = [
        {"model": m, "fold": f, "epoch": e, "train_loss": 2 / e, "train_accuracy": 1 - 1 / (e + 1 + f)}
        for m in models
        for f in range(folds)
        for e in range(1, epochs + 1)
    ]
    frame = pd.DataFrame(rows).assign(validation_accuracy=0.5, test_accuracy=np.nan)
    frame.loc[frame["epoch"] == epochs, "test_accuracy"] = 0.45
    return frame


def texts(figure):
    """All visible words of a figure."""
    from matplotlib.text import Text

    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


PANELS = {f"{name}, UMAP": (IMAGES[:, 1, :2], 0.9) for name in ("C2", "S2")}
FIGURES = {
    "contact_sheet": lambda: plots.contact_sheet(IMAGES, np.arange(10) % 7, CLASSES),
    "class_balance": lambda: plots.class_balance(
        pd.DataFrame({"train": [3, 1], "test": [1, 0]}, CLASSES[:2])
    ),
    "confusion": lambda: plots.confusion(np.eye(7, dtype=int), CLASSES),
    "curves": lambda: plots.curves(learning()),
    "per_class_bars": lambda: plots.per_class_bars(RECALL),
    "sift_keypoints": lambda: plots.sift_keypoints(IMAGES[0], [(6, 6, 4, 90)]),
    "visual_words": lambda: plots.visual_words({"word 3": IMAGES[:3]}),
    "grad_cam_grid": lambda: grad_cam_grid(IMAGES[:5], IMAGES[:5] / 255, list("abcde"), 5),
    "grad_cam_gallery": lambda: plots.grad_cam_gallery(
        IMAGES[:4], [0, 1, 2, 3], CLASSES, {"C2": (IMAGES[:4] / 255, [0, 1, 2, 0])}
    ),
    "embedding": lambda: plots.embedding(IMAGES[:, 0, :2], np.arange(10) % 7, CLASSES, "t-SNE", 0.9),
    "learning_size": lambda: plots.learning_size(SIZES),
    "embeddings": lambda: plots.embeddings(PANELS, np.arange(10) % 7, CLASSES),
    "forest": lambda: plots.forest(EFFECTS, "Points"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_share_a_style_and_leave_no_trace(name):
    before = dict(plt.rcParams)
    with plt.rc_context({"font.size": 30, "axes.facecolor": "black", "xtick.labelsize": 30}):
        figure = FIGURES[name]()
        figure.savefig(io.BytesIO(), format="png", dpi=40)  # ticks made now would take the caller's size
    assert dict(plt.rcParams) == before
    assert not plt.get_fignums()
    assert figure.get_figwidth() == pytest.approx(style.WIDTH)
    labels = [x for axes in figure.axes for x in axes.get_xticklabels() + axes.get_yticklabels()]
    assert {label.get_fontsize() for label in labels} <= {10}
    assert all(axes.get_facecolor()[:3] == (1, 1, 1) for axes in figure.axes)


def test_contact_sheet_shows_every_image_and_name():
    figure = plots.contact_sheet(IMAGES, np.arange(10) % 7, CLASSES, columns=4)
    shown = [image.get_array() for image in figure.axes[0].images]
    assert np.array_equal(shown, IMAGES)
    assert texts(figure) == [CLASSES[i % 7] for i in range(10)]
    tops = [image.get_extent()[3] for image in figure.axes[0].images]
    assert [len(set(tops[i : i + 4])) for i in (0, 4, 8)] == [1, 1, 1]
    assert tops[0] < tops[4] < tops[8]


def test_landmarks_fall_on_their_pixels():
    corner = np.array([[[0, 0], [11, 11]]])
    axes = plots.contact_sheet(IMAGES[:1], landmarks=corner).axes[0]
    x, y = axes.lines[-1].get_data()
    assert np.allclose(x, [0.5 / 12, 11.5 / 12])
    assert np.allclose(y, x)


def test_class_balance_stacks_the_splits():
    counts = pd.DataFrame({"train": [30, 10], "private_test": [10, 0]}, index=["fear", "neutral"])
    figure = plots.class_balance(counts)
    bars = figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == [30, 10, 10, 0]
    assert [bar.get_x() for bar in bars] == [0, 0, 30, 10]
    assert {" 40  (80.0%)", " 10  (20.0%)", "private test", "Images"} <= set(texts(figure))
    assert not plots.class_balance(counts[["train"]]).legends


def test_confusion_gives_percent_of_rows_and_counts():
    matrix = np.array([[3, 1, 0], [1, 1999, 0], [0, 0, 0]])
    figure = plots.confusion(matrix, ("fear", "anger", "contempt"))
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["75", "3", "25", "1", "0", "0.1", "1", "100", "1,999", "0", "–", "–", "–"]
    assert np.allclose(figure.axes[0].images[0].get_array(), [[75, 25, 0], [0.05, 99.95, 0], [0, 0, 0]])
    assert "anger\nn = 2,000" in texts(figure)
    assert figure.axes[0].get_ylabel() == "True expression"


def test_curves_have_a_panel_per_model_in_its_colour():
    figure = plots.curves(learning())
    loss, *panels = figure.axes
    assert [p.get_title(loc="left") for p in panels if p.get_title(loc="left")] == ["C1", "C2", "S1"]
    assert [line.get_color() for line in loss.lines] == [style.MODEL_COLOURS[m] for m in ("C1", "C2", "S1")]
    training, validation, test = panels[0].lines
    assert np.allclose(training.get_ydata(), [50, 200 / 3, 75, 80])
    assert np.allclose(validation.get_ydata(), 50)
    assert (list(test.get_xdata()), list(test.get_ydata())) == ([4], [45])
    assert test.get_marker() == "o"
    said = [[text.get_text() for text in legend.texts] for legend in figure.legends]
    assert said == [["C1", "C2", "S1"], ["training", "validation", "test"]]


def test_curves_are_read_against_the_claim_and_the_commonest_class():
    frame = learning(["C1", "C2"]).assign(claimed=lambda f: f["model"].map({"C1": 0.7}), majority=0.25)
    figure = plots.curves(frame)
    levels = [[line.get_ydata()[0] for line in axes.lines[:2]] for axes in figure.axes[1:]]
    assert np.allclose(levels, [[70, 25], [np.nan, 25]], equal_nan=True)
    said = [text.get_text() for text in figure.legends[-1].texts]
    assert said[-2:] == ["claimed", "always the commonest class"]


def test_curves_average_the_folds():
    figure = plots.curves(learning(["C1"], folds=3)[["model", "fold", "epoch", "train_accuracy"]])
    lines = figure.axes[0].lines
    assert len(figure.axes) == 1
    assert len(lines) == 4
    assert np.allclose(lines[-1].get_ydata(), np.mean([line.get_ydata() for line in lines[:3]], axis=0))
    assert lines[-1].get_linewidth() > lines[0].get_linewidth()


def test_per_class_bars_follow_model_and_class():
    axes = plots.per_class_bars(RECALL).axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    assert np.allclose(widths, 100 * RECALL["recall"])
    inside = axes.patches[0].get_y(), axes.patches[7].get_y()
    assert -0.5 < inside[0] < inside[1] < 0.5
    single = plots.per_class_bars(RECALL[RECALL["model"] == "CNN-SIFT"])
    from matplotlib.colors import to_hex

    colours = [to_hex(bar.get_facecolor()) for bar in single.axes[0].patches]
    assert colours == [style.EXPRESSION_STYLE[name][0] for name in CLASSES]
    assert not single.legends


def test_sift_circle_has_size_place_and_orientation():
    axes = plots.sift_keypoints(IMAGES[0], [(5.5, 5.5, 6, 90), (2, 2, 2, -1)]).axes[0]
    line, plain = axes.lines[-2:]
    pixels = np.stack(line.get_data()) * 12 - [[1.06 * 12], [0]]
    assert np.allclose(pixels[:, :2], [[6, 6], [6, 9]])  # 90 degrees points down
    assert np.allclose(np.hypot(*(pixels[:, 3:] - 6)), 3)
    assert not np.isnan(plain.get_xdata()).any()


def test_grad_cam_grid_lays_the_map_over_the_image():
    cams = np.zeros((2, 12, 12), np.float32)
    cams[:, 3, 4] = 1
    figure = grad_cam_grid(IMAGES[:2], cams, ["fear → fear", "anger → fear"], 4)
    image, below, heat = figure.axes[0].images[:3]
    assert below.get_extent() == heat.get_extent() != image.get_extent()
    opacity = heat.get_array()[..., 3]
    assert opacity[3, 4] == pytest.approx(0.75)
    assert opacity.sum() == pytest.approx(0.75)
    assert "anger → fear" in texts(figure)
    assert "Evidence" in figure.axes[1].get_xlabel()


def test_grad_cam_gallery_has_a_row_of_maps_for_each_face():
    cams = np.linspace(0, 1, 9 * 36).reshape(9, 6, 6)
    found = {
        "VGG19": (cams, np.arange(9) % 7),
        "Our method": (cams, np.zeros(9, int)),
        "C-SPP": (cams, [1] * 9),
    }
    figure = plots.grad_cam_gallery(IMAGES[:9], np.arange(9) % 7, CLASSES, found)
    axes, bar = figure.axes
    places = {tuple(round(float(side), 2) for side in image.get_extent()[::3]) for image in axes.images}
    assert len({left for left, _ in places}) == 4  # the face, then three networks
    assert len({top for _, top in places}) == 9
    assert texts(figure).count(CLASSES[0]) == 2 + 2 + 9  # twice the truth, twice VGG19, always the second
    assert "LKRNet (full)" in texts(figure)
    wrong = [text for text in axes.texts if text.get_color() == "#c44a00"]
    assert len(wrong) == 0 + 7 + 7  # VGG19 is never wrong, the others know one expression alone
    assert "Evidence" in bar.get_xlabel()


def test_embedding_draws_every_point_in_its_colour():
    from matplotlib.colors import to_hex

    points, labels = RANDOM.normal(size=(50, 2)), np.arange(50) % 3
    figure = plots.embedding(points, labels, CLASSES, "t-SNE", 0.934)
    axes = figure.axes[0]
    for code in range(3):
        colour = style.EXPRESSION_STYLE[CLASSES[code]][0]
        mine = [c.get_offsets() for c in axes.collections if to_hex(c.get_facecolor()[0]) == colour]
        expected = points[labels == code]
        assert np.allclose(np.sort(np.concatenate(mine), axis=0), np.sort(expected, axis=0))
    assert [text.get_text() for text in figure.legends[0].texts] == list(CLASSES[:3])
    assert axes.get_xlabel() == "trustworthiness 0.934"
    people = plots.embedding(points, labels, ["S01", "S02", "S03"], "t-SNE", 0.9)
    assert len({to_hex(c.get_facecolor()[0]) for c in people.axes[0].collections}) == 3


def test_learning_size_is_logarithmic_and_sorted():
    axes = plots.learning_size(SIZES).axes[0]
    assert axes.get_xscale() == "log"
    assert [list(line.get_xdata()) for line in axes.lines] == [[100, 500], [100, 500]]
    assert np.allclose(axes.lines[0].get_ydata(), [40, 60])
    assert len(axes.collections) == 2
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "500"]


def test_embeddings_are_small_multiples_of_the_same_samples():
    figure = plots.embeddings({"OURS, t-SNE": (IMAGES[:, 0, :2], None)} | PANELS, np.arange(10) % 7, CLASSES)
    said = [axes.get_title(loc="left") for axes in figure.axes]
    assert said == ["Multimodal (authors’ network), t-SNE", "C2, UMAP", "S2, UMAP", ""]
    assert len(figure.legends) == 1


def test_forest_keeps_its_order_and_fills_what_is_clear():
    axes = plots.forest(EFFECTS, "Points").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b = 2", "c = 3", "a = 1"]
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in marks] == [4, 0.5, -1]
    assert [line.get_markerfacecolor() == "white" for line in marks] == [False, True, True]
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(-2, 4), (-1.5, 3)]


def test_forest_shows_what_is_printed_and_fills_what_leaves_zero_out():
    leads = EFFECTS.drop(columns=["spread", "clear"])
    leads = leads.assign(printed=[5, np.nan, -4], note=["+4", "+0.5", "-1"])
    axes = plots.forest(leads, "Lead").axes[0]
    printed = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "D"]
    assert np.allclose(printed, [5, np.nan, -4], equal_nan=True)
    discs = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"]
    assert [fill == "white" for fill in discs] == [False, True, True]
    assert {"+4", "+0.5", "-1"} <= set(texts(axes.figure))


def test_colours_are_fixed_and_distinct():
    from fer_lib.expressions import EXPRESSIONS

    assert tuple(style.EXPRESSION_STYLE) == EXPRESSIONS
    for column in zip(*style.EXPRESSION_STYLE.values(), strict=True):
        assert len(set(column)) == len(EXPRESSIONS)
    # One network under two names has one colour.
    same = [{"OURS", "Multimodal"}, {"VGG", "VGG19"}, {"ResNet", "ResNet18"}, {"SVM", "HOG-SVM"}]
    same += [{"c2", "3D-CNN"}, {"Our method", "LKRNet"}]
    repeats = sum(len(names) - 1 for names in same)
    assert all(len({style.MODEL_COLOURS[name] for name in names}) == 1 for names in same)
    assert len(set(style.MODEL_COLOURS.values())) == len(style.MODEL_COLOURS) - repeats
    own = {
        "cnn_sift": "CNN-SIFT-AVG",
        "multimodal": "OURS",
        "cspp": "C-SPP",
        "cnn3d": "c1",
        "lkrnet": "Our method",
    }
    assert {paper: claims.load(paper).colour for paper in own} == {
        paper: style.MODEL_COLOURS[name] for paper, name in own.items()
    }
    some = style.colours(["VGG", "C1", "AlexNet"])
    assert some["C1"] == style.MODEL_COLOURS["C1"]
    assert some == style.colours(["AlexNet", "VGG", "C1"])
    assert len(set(some.values())) == 3
