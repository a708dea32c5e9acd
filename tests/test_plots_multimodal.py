"""The figures of the multimodal chapter show what they were given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from fer_lib.learn import metrics
from fer_lib.show.pages import called
from fer_lib.show.plots import multimodal as drawings

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (3, 12, 12), dtype=np.uint8)
SWEEP = pd.DataFrame(
    [
        {"condition": c, "severity": s, "model": m, "accuracy": 0.8 - s / 2, "low": 0.1, "high": 0.9}
        for c in ("occlusion_mouth", "low_brightness", "high_brightness", "color_distortion")
        for m in ("OURS", "VGG")
        for s in (0.0, 0.5, 1.0)
    ]
)


def texts(figure):
    return {t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()}


def test_face_rows_draw_every_face_of_every_row():
    rows = {"as it is": GREY, "heat\nmap": RANDOM.random((3, 6, 6))}
    figure = drawings.face_rows(rows, ["a", "b\nc", "d"], {"as it is": RANDOM.random((3, 5, 2)) * 11})
    assert len(figure.axes[0].images) == 6
    assert {"as it is", "heat\nmap", "a", "b\nc", "d"} <= texts(figure)
    points = [line for line in figure.axes[0].lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in points] == [5, 5, 5]


def test_points_lie_on_their_pixels():
    corner = np.array([[[0, 0], [11, 11], [3, 12], [-2, 5]]])  # the last two are outside
    figure = drawings.face_rows({"x": GREY[:1]}, points={"x": corner})
    (line,) = [line for line in figure.axes[0].lines if line.get_marker() == "."]
    assert len(line.get_xdata()) == 2
    image = figure.axes[0].images[0].get_extent()
    assert line.get_xdata()[0] == pytest.approx(image[0] + 0.5 / 12)
    assert line.get_ydata()[1] == pytest.approx(image[2] - 0.5 / 12)


def test_severity_has_a_panel_per_condition_and_a_line_per_model():
    figure = drawings.severity(SWEEP)
    shown = [axes for axes in figure.axes if axes.lines]
    assert len(shown) == 4
    assert all(len(axes.lines) == 2 for axes in shown)
    np.testing.assert_allclose(shown[0].lines[0].get_ydata(), [80, 55, 30])
    assert {"mouth covered", called("OURS"), "VGG"} <= texts(figure)


def test_roc_names_each_class_with_its_area():
    labels = np.array([0, 0, 1, 1])  # class 2 has no positives and no curve
    probabilities = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1]])
    figure = drawings.roc(metrics.roc(labels, probabilities), ("anger", "disgust", "fear"))
    assert {"anger 1.000", "disgust 1.000"} <= texts(figure)
    assert not any(text.startswith("fear") for text in texts(figure))
