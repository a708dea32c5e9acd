"""Expressions have one order, and the names that papers and folders give them are understood."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lib.errors import FerError
from fer_lib.expressions import ALIASES, EXPRESSIONS, canonical, codes


def test_canonical_order_is_the_one_stored_in_every_label_array():
    order = "anger disgust fear happiness sadness surprise neutral contempt"
    assert " ".join(EXPRESSIONS) == order


@pytest.mark.parametrize("alias, name", ALIASES.items())
def test_aliases(alias, name):
    assert canonical(alias) == name


@settings(deadline=None)
@given(st.sampled_from([*EXPRESSIONS, *ALIASES]), st.sampled_from([str.upper, str.title, "  {} ".format]))
def test_case_and_blanks_do_not_matter_and_canonical_is_idempotent(name, change):
    assert canonical(change(name)) == canonical(name)
    assert canonical(canonical(name)) == canonical(name)
    assert canonical(name) in EXPRESSIONS


def test_unknown_name_is_a_clear_error():
    with pytest.raises(FerError, match=r"Unknown expression 'surprize'\. Did you mean 'surprise'"):
        canonical("surprize")


def test_codes_are_canonical():
    assert codes("AN=angry 3=Happy") == {"AN": "anger", "3": "happiness"}
    with pytest.raises(FerError, match="Unknown expression 'hapy'"):
        codes("1=hapy")
