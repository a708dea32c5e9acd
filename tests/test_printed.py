"""What papers print of each corpus, beside what drawn complete copies give."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from fer_lib import claims
from fer_lib.data import datasets
from fer_lib.data.datasets import jaffe, mmi, nimstim
from fer_lib.data.printed import Printed, compare, count, remarks
from fer_lib.data.sources import Source

SLOTS = [f"{code}_{mouth}" for code, mouth in itertools.product(("AN", "CA", "DI", "FE", "NE", "SA"), "OC")]
SLOTS += ["HA_O", "HA_C", "HA_X", "SP_O"]


@pytest.mark.parametrize("name", datasets.READERS)
def test_every_entry_is_a_count_that_a_paper_prints(name):
    reader = datasets.READERS[name]
    frame = claims.frame().set_index("id")
    for entry in reader.printed:
        claim = frame.loc[entry.claim]
        assert claim["corpus"] == name
        assert claim["metric"] == ("subject_count" if entry.what == "subjects" else "sample_count")
        assert entry.what in ("images", "sequences", "subjects")
        assert set(entry.selection) <= set(datasets._options(name, {}))
        assert bool(entry.why) is not (entry.complete == claim["value"])


def test_every_selection_count_of_the_papers_is_listed():
    """The counts that the papers print of a whole corpus or a selection, folds and shares left out."""
    frame = claims.frame()
    counts = frame[(frame["role"] == "data") & frame["metric"].isin(["sample_count", "subject_count"])]
    counts = counts[
        counts["expression"].isna() & counts["corpus"].isin(["jaffe", "mmi", "nimstim", "oulu_casia"])
    ]
    listed = {entry.claim for name in datasets.READERS for entry in datasets.READERS[name].printed}
    twice = {"cspp-t1-mmi-samples", "cspp-t1-nimstim-samples", "cspp-s31-jaffe-all"}  # the same figure again
    twice |= {"cnn_sift-s42-jaffe-subjects"}
    assert set(counts["id"]) - twice <= listed


def test_a_full_nimstim_has_the_counts_of_the_standard_set(tmp_path):
    names = [
        f"{actor:02}{'FM'[actor > 18]}_{slot}.BMP" for actor, slot in itertools.product(range(1, 44), SLOTS)
    ]
    for name in sorted(set(names) - set(names[::43])):  # the standard set lacks 16 of 43 x 16
        (tmp_path / name).touch()
    found = {row["what"]: row for row in compare(nimstim.READER, tmp_path) if row["selection"] == "default"}
    assert found["subjects"]["here"] == found["subjects"]["complete"] == 43
    assert 491 < found["images"]["here"] <= 12 * 43
    (whole,) = (row for row in compare(nimstim.READER, tmp_path) if row["selection"] == "whole copy")
    assert (whole["here"], whole["complete"], whole["printed"]) == (672, 672, 646)
    assert len(remarks(compare(nimstim.READER, tmp_path))) == 3


def test_mmi_counts_two_images_a_clip(tmp_path):
    for n in range(1, 6):
        folder = tmp_path / "Sessions" / str(n)
        folder.mkdir(parents=True)
        (folder / f"S00{n % 2}-10{n}.avi").touch()
        (folder / f"S00{n % 2}-10{n}.xml").write_text(f'<a><Metatag Name="Emotion" Value="{n + 3}"/></a>')
    entries = {(row["what"], row["printed"]): row["here"] for row in compare(mmi.READER, tmp_path)}
    assert entries[("images", 250)] == 2 * entries[("sequences", 125)] == 6
    assert entries[("sequences", 237)] == 5
    assert entries[("subjects", 21)] == 2


def test_check_says_what_no_copy_can_give(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(buffer, "tiff")
    for n, code in enumerate(("AN", "NE", "SU"), 1):
        (tmp_path / f"KA.{code}1.{n}.tiff").write_bytes(buffer.getvalue())
    found = datasets.check("jaffe", tmp_path)
    counts = [(row["printed"], row["complete"], row["here"]) for row in found["printed"]]
    assert counts == [(213, 213, 3), (183, 183, 2), (10, 10, 1), (213, 183, 2)]
    (said,) = (remark for remark in found["remarks"] if "prints" in remark)
    assert said.startswith(
        "cspp prints 213 images (Table 1), this copy has 2 (classes=six): The table counts"
    )


def test_a_selection_that_a_form_lacks_has_no_count(tmp_path):
    assert count(None, Printed("x", "images", 1)) is None
    source = Source(tmp_path, "form", rows=[{"path": tmp_path}])
    assert count(source, Printed("x", "sequences", 1)) is None
    assert count(source, Printed("x", "images", 1, whole="rows")) is None
    assert [row["complete"] for row in compare(jaffe.READER, tmp_path)] == [213, 183, 10, 183]
