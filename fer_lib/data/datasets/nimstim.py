"""NimStim: still images of 43 actors, read from their file names wherever they lie below a folder.

The corpus has ``subjects`` (``01F``) and the columns ``sex`` (F, M), ``code`` (as in the file name) and
``mouth`` (O open, C closed, X exuberant).
"""

from __future__ import annotations

import re
from pathlib import Path

from fer_lib.data.corpus import Card
from fer_lib.data.printed import Printed
from fer_lib.data.reader import Reader
from fer_lib.data.sources import Source, drop_repeats, named_rows, use
from fer_lib.expressions import EXPRESSIONS, codes

FILE_NAME = re.compile(
    r"(\d{2})([FM])_(AN|CA|DI|FE|HA|NE|SA|SP)_([OCX])\.(?:bmp|jpe?g|png)", re.IGNORECASE | re.ASCII
)
# CA (calm) is a label of its own and no expression of the papers: no code here.
CODES = codes("AN=angry DI=disgust FE=fear HA=happy NE=neutral SA=sad SP=surprise")
CLASSES = {"six": EXPRESSIONS[:6], "seven": EXPRESSIONS[:7]}
USUAL = (43, 672)  # actors and images of the standard set; copies differ

CARD = Card(
    name="nimstim",
    title="NimStim Set of Facial Expressions",
    owner="Nim Tottenham and others",
    licence="approved institutional research and education only; no redistribution",
    obtain="Ask the owners for approval with an institutional address.",
    tree="""\
nimstim/
    01F_AN_C.BMP ...    (bmp, jpg or png, any case, also in folders)
    <actor><F|M>_<AN|CA|DI|FE|HA|NE|SA|SP>_<O|C|X>""",
    may_show=False,
    notes=(
        "43 actors, 672 images in the standard set; copies differ, so counts are reported, not required.",
        "SP is surprise. CA (calm) and NE (neutral) are separate labels; the six-class protocol drops both.",
        "Mouth: O open, C closed, X exuberant (happy only).",
    ),
    place=5,
    codes={"In the name": CODES},
    lacks={"sequences": "NimStim is stills, so no sequence can be read"},
)

_LEFT_OUT = (
    "The set has 43 actors with at most 12 images each in these classes, and the paper does not say what it "
    "left out; its accuracies per class fit only with more images of anger and surprise than 42 actors have."
)
PRINTED = (
    Printed(
        *("cspp-s31-nimstim-all", "images", 672),
        why="The standard set has 672 images; copies differ.",
        whole="images",
    ),
    Printed("cspp-s31-nimstim-images", "images", None, why=_LEFT_OUT),
    Printed("cspp-t1-nimstim-subjects", "subjects", 43, why=_LEFT_OUT),
)


def parse(name: str) -> dict[str, str] | None:
    """Return what a file name says (``01F_AN_C.BMP``), None for any other name."""
    if (match := FILE_NAME.fullmatch(name)) is None:
        return None
    actor, sex, code, mouth = (part.upper() for part in match.groups())
    said = {"id": f"{actor}{sex}_{code}_{mouth}", "expression": CODES.get(code, ""), "subject": actor + sex}
    return said | {"sex": sex, "code": code, "mouth": mouth}


def locate(root: Path, classes: str) -> Source | None:
    """List NimStim's images below ``root``; None where there is none.

    ``classes`` is ``six`` (without CA, calm, and NE, neutral, as in paper 3) or ``seven`` (without CA).
    """
    source = Source(root, "files", CLASSES[classes])
    rows = list(named_rows(source, parse))
    if not rows:
        return None
    actors, images = (len({row[key] for row in rows}) for key in ("subject", "id"))
    source.rows = [row for row in rows if row["expression"] in source.classes]
    source.expected = {"actors": USUAL[0], "images": USUAL[1]}
    source.facts = {"actors": actors, "images": images, "other_labels": len(rows) - len(source.rows)}
    drop_repeats(source)
    use(source, source.rows)
    if (actors, images) != USUAL:
        source.remarks.append(
            f"{actors} actors and {images:,} images were found; the standard set has {USUAL[0]} and "
            f"{USUAL[1]}, but copies differ."
        )
    return source


READER = Reader(CARD, locate, {"classes": tuple(CLASSES)}, printed=PRINTED)
