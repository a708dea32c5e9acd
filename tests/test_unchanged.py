"""Code that was rearranged is shown to compute what it did, and older evidence counts only then."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import unchanged
from fer_lib.evidence import runs


def evidence(root, seconds=1.0, loss=0.5, chance=0.75, embeddings=None):
    """Write a run's evidence of one network with two test images."""
    with runs.Recorder("cnn_sift", "fer2013", "smoke", 0, root=root) as made:
        made.add_predictions("C1", np.array([[chance, 1 - chance], [0.5, 0.5]]), [0, 1], ["a", "b"], "fold")
        row = {"model": "C1", "fold": "fold", "epoch": 1, "train_loss": loss, "seconds": seconds}
        made.add_curves(pd.DataFrame([row]))
        if embeddings is not None:
            made.add_embeddings(x=embeddings)
        return runs.Run(made.commit())


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"seconds": 2.0}, []),
        ({"loss": 0.5000001}, ["curves.csv"]),
        ({"chance": 0.7505}, ["C1"]),
        ({"embeddings": np.ones((2, 2), np.float32)}, ["embeddings.npz"]),
    ],
)
def test_two_runs_differ_where_a_number_moved_and_not_by_their_time(tmp_path, change, moved):
    numbers, found = unchanged.differences(evidence(tmp_path / "was"), evidence(tmp_path / "is", **change))
    assert found == moved
    assert numbers > 4


def test_evidence_of_older_code_counts_where_a_chain_of_comparisons_leads_to_todays(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "repository", lambda: tmp_path)
    monkeypatch.setattr(runs, "sources", lambda paper, shown=True: "third")
    assert runs.unchanged("lkrnet") == {"third"}
    (tmp_path / "results").mkdir()
    steps = [("lkrnet", "first", "second"), ("cspp", "other", "third"), ("lkrnet", "second", "third")]
    steps += [("lkrnet", "third", "undone")]
    entries = [dict(zip(("paper", "was", "now"), step, strict=True)) for step in steps]
    runs.ledger().write_text(json.dumps(entries))
    assert runs.unchanged("lkrnet") == {"third", "second", "first"}
    assert runs.unchanged("cspp") == {"third", "other"}


def test_a_run_by_code_that_gave_the_same_numbers_is_current(tmp_path, monkeypatch):
    run = evidence(tmp_path)
    older = run.info["computing"]
    monkeypatch.setattr(runs, "sources", lambda paper, shown=True: "today's")
    assert runs.current(run.path, run.info["parameters"]) is None
    monkeypatch.setattr(runs, "unchanged", lambda paper: {"today's", older})
    assert runs.current(run.path, run.info["parameters"]) is not None


@pytest.mark.parametrize(("chance", "code"), [(0.75, 0), (0.7505, 1)])
def test_the_command_notes_what_stayed_the_same_and_nothing_else(tmp_path, monkeypatch, capsys, chance, code):
    monkeypatch.setattr(runs, "repository", lambda: tmp_path)
    recorded = evidence(tmp_path / "results")

    def made(folder, results, arguments, threads):
        assert arguments[:4] == ["cnn_sift", "fer2013", "--budget", "smoke"]
        return evidence(results, chance=chance)

    monkeypatch.setattr(unchanged, "made", made)
    assert unchanged.main([str(recorded.path)]) == code
    said = capsys.readouterr()
    if code:
        assert "Not the same: C1." in said.err
        assert not runs.ledger().exists()
    else:
        (entry,) = json.loads(runs.ledger().read_text())
        assert entry["was"] == entry["now"] == recorded.info["computing"]
        assert f"All {entry['numbers']} numbers are the same." in said.out


def test_a_commit_needs_to_know_which_run(capsys):
    with pytest.raises(SystemExit):
        unchanged.main(["HEAD"])
    assert "with a commit, name paper, dataset and budget too" in capsys.readouterr().err
