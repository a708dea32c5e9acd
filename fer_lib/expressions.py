"""The canonical expressions, their order, and the names that papers and folders use for them."""

from __future__ import annotations

from fer_lib.errors import one_of

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt")
"""Canonical names; the index of a name is its canonical code (0..7). FER2013's codes are the first seven."""

# Spellings met in tables, folder names and label files, beside the canonical ones.
ALIASES = {
    "angry": "anger",
    "disgusted": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
    "normal": "neutral",
    "contemptuous": "contempt",
}


def canonical(name: str) -> str:
    """Return the canonical name of an expression.

    Aliases (``angry``, ``Normal``, ``Surprised``) are known, and case and surrounding blanks do not matter.
    FerError for an unknown name names the nearest known spelling.
    """
    word = str(name).strip().lower()
    return ALIASES.get(word) or one_of(word, [*EXPRESSIONS, *ALIASES], "expression")


def codes(pairs: str) -> dict[str, str]:
    """Return the codes of ``"AN=anger DI=disgust"``: code -> canonical name."""
    return {code: canonical(name) for code, name in (pair.split("=") for pair in pairs.split())}
