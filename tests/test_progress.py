"""How far a run is, and how long it still takes."""

import pytest

from fer_lib import progress


def test_a_bar_says_which_network_it_is_of_how_many_and_how_long_the_others_take(monkeypatch):
    monkeypatch.setattr(progress, "_plan", progress._Plan())
    assert progress.Bar(10, "C1").line().startswith("C1:")
    progress.expect(20)
    progress.trained(None)  # finished before: it took no time now
    assert progress.Bar(10, "C2").line().startswith("network 2 of 20: C2:")
    progress.trained(50)
    progress.trained(30)
    assert progress.Bar(10, "C3").line().startswith("network 4 of 20, about 11 min left: C3:")
    for _ in range(17):
        progress.trained(40)
    assert progress.Bar(10, "more").line().startswith("more:")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min"), (5000, "83 min"), (9000, "2.5 h")]
)
def test_a_length_of_time_is_said_as_one_reads_it(seconds, text):
    assert progress.duration(seconds) == text
