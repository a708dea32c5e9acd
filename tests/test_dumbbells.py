"""Claimed beside ours: a certified run is a disc, any other a ring, and no run is no mark."""

from fer_lib.show.plots.dumbbells import dumbbells

LINE = {"label": "A & B", "href": "#a", "colour": "#123456", "claimed": 90.0}


def test_marks_say_what_is_known():
    alone = dumbbells([LINE], "title")
    assert alone.count('class="claimed"') == 1
    assert 'class="ours"' not in alone
    assert "90, not run" in alone
    assert "A &amp; B" in alone
    ours = LINE | {"ours": 80.0, "low": 75.0, "high": 85.0, "majority": 25.0}
    for certified, fill in ((True, 'fill="#123456"'), (False, 'fill="none"')):
        drawn = dumbbells([ours | {"certified": certified}], "title")
        assert fill in drawn
        assert "90 → 80" in drawn
        assert "[75, 85]; commonest class 25" in drawn
        assert 'class="majority"' in drawn


def test_the_axis_begins_where_the_figures_do():
    assert ">50<" in dumbbells([LINE], "title")
    assert ">0<" not in dumbbells([LINE], "title")
    assert ">0<" in dumbbells([LINE | {"majority": 25.0}], "title")
