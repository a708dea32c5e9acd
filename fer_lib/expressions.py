"""The canonical expressions, their order, the names papers and folders use, and each corpus's codes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fer_lib.errors import one_of

EXPRESSIONS: tuple[str, ...] = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
    "contempt",
)
"""Canonical names; the index of a name is its canonical code (0..7). FER2013's codes are the first seven."""

# Spellings met in tables, folder names and label files, beside the canonical ones.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
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
)


def canonical(name: str) -> str:
    """Return the canonical name of an expression.

    Parameters
    ----------
    name : str
        A canonical name or an alias (``angry``, ``Normal``, ``Surprised``); case and surrounding
        blanks do not matter.

    Raises
    ------
    FerError
        If the name is unknown; it names the nearest known spelling.

    Examples
    --------
    >>> canonical("Normal")
    'neutral'
    """
    word = str(name).strip().lower()
    return ALIASES.get(word) or one_of(word, [*EXPRESSIONS, *ALIASES], "expression")


def _codes(names: str, first: int = 0) -> Mapping[int, str]:
    """Return blank-separated ``names`` counted from ``first``."""
    return MappingProxyType({first + i: canonical(name) for i, name in enumerate(names.split())})


def _letters(pairs: str) -> Mapping[str, str]:
    """Return the codes of ``"AN=anger DI=disgust"``."""
    return MappingProxyType({code: canonical(name) for code, name in (p.split("=") for p in pairs.split())})


CODES: Mapping[str, Mapping[int, str] | Mapping[str, str]] = MappingProxyType(
    {
        "fer2013": _codes("angry disgust fear happy sad surprise neutral"),
        # CK+ emotion files; 0 (neutral) never occurs among the labelled sequences.
        "ckplus": _codes("neutral anger contempt disgust fear happy sadness surprise"),
        # ckextended.csv, a derivative of CK+ with other codes.
        "ckextended": _codes("anger disgust fear happy sad surprise neutral contempt"),
        # MMI's larger values are not basic emotions and have no code here.
        "mmi": _codes("anger disgust fear happiness sadness surprise", first=1),
        "jaffe": _letters("AN=anger DI=disgust FE=fear HA=happy NE=neutral SA=sad SU=surprise"),
        # NimStim's CA (calm) is its own label and not an expression of the papers: no code here.
        "nimstim": _letters("AN=angry DI=disgust FE=fear HA=happy NE=neutral SA=sad SP=surprise"),
    }
)
"""Label code of each corpus (by the form it is distributed in) -> canonical name."""
