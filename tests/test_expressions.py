import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib.errors import FerError
from fer_lib.expressions import ALIASES, CODES, EXPRESSIONS, canonical


def test_canonical_order_is_the_one_stored_in_every_label_array():
    assert EXPRESSIONS == (
        "anger",
        "disgust",
        "fear",
        "happiness",
        "sadness",
        "surprise",
        "neutral",
        "contempt",
    )


@pytest.mark.parametrize("alias, name", ALIASES.items())
def test_aliases(alias, name):
    assert canonical(alias) == name


@settings(deadline=None)
@given(st.sampled_from([*EXPRESSIONS, *ALIASES]), st.sampled_from([str.upper, str.title, "  {} ".format]))
def test_case_and_blanks_do_not_matter_and_canonical_is_idempotent(name, change):
    assert canonical(change(name)) == canonical(name)
    assert canonical(canonical(name)) == canonical(name)
    assert canonical(name) in EXPRESSIONS


@pytest.mark.parametrize("name", ["calm", "", "surprize"])
def test_unknown_name_is_a_clear_error(name):
    with pytest.raises(FerError, match="Unknown expression"):
        canonical(name)


def test_misspelling_gets_a_suggestion():
    with pytest.raises(FerError, match="Did you mean 'surprise'"):
        canonical("surprize")


def test_codes_follow_the_corpora():
    assert [CODES["fer2013"][i] for i in range(7)] == list(EXPRESSIONS[:7])
    assert CODES["ckplus"] == {
        0: "neutral",
        1: "anger",
        2: "contempt",
        3: "disgust",
        4: "fear",
        5: "happiness",
        6: "sadness",
        7: "surprise",
    }
    assert CODES["ckextended"][7] == "contempt"
    assert CODES["ckextended"][6] == "neutral"
    assert sorted(CODES["mmi"]) == [1, 2, 3, 4, 5, 6]
    assert CODES["mmi"][6] == "surprise"
    assert CODES["jaffe"]["SU"] == "surprise"
    assert CODES["nimstim"]["SP"] == "surprise"
    assert "CA" not in CODES["nimstim"]
    for codes in CODES.values():
        assert len(set(codes.values())) == len(codes)


def test_codes_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        CODES["fer2013"][0] = "joy"


@pytest.mark.parametrize("module", ["expressions", "claims", "metrics", "report"])
def test_import_is_light(module):
    heavy = "{'torch', 'umap', 'sklearn', 'statsmodels', 'cv2', 'matplotlib'}"
    code = f"import sys, fer_lib.{module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
