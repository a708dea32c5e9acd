"""JAFFE: still images of ten women, read from their file names wherever they lie below a folder.

The corpus has ``subjects`` (``KA``) and the columns ``repetition`` and ``serial`` (the last number in the
file name). The option ``crop`` (:data:`fer_lib.faces.FACE`) cuts out the face; ``valid`` is then False where
none was found and the whole photograph is used.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from fer_lib.data.corpus import Card
from fer_lib.data.printed import Printed
from fer_lib.data.reader import Reader
from fer_lib.data.sources import Source, drop_repeats, named_rows, use, wrong_counts
from fer_lib.expressions import EXPRESSIONS, codes

FILE_NAME = re.compile(
    r"(K[ALMR]|MK|N[AM]|TM|UY|YM)\.(AN|DI|FE|HA|NE|SA|SU)([1-5])\.(\d{1,3})\.(?:tiff?|png|bmp|jpe?g)",
    re.IGNORECASE | re.ASCII,
)
CODES = codes("AN=anger DI=disgust FE=fear HA=happy NE=neutral SA=sad SU=surprise")
CLASSES = {"seven": EXPRESSIONS[:7], "six": EXPRESSIONS[:6]}
OFFICIAL = {"images": 213, **dict(zip(EXPRESSIONS[:7], (30, 29, 32, 31, 31, 30, 30), strict=True))}
OFFICIAL |= {"KA": 23, "KL": 22, "KM": 22, "KR": 20, "MK": 21}
OFFICIAL |= {"NA": 21, "NM": 20, "TM": 21, "UY": 21, "YM": 22}

CARD = Card(
    name="jaffe",
    title="JAFFE (Japanese Female Facial Expression)",
    owner="Michael Lyons, Miyuki Kamachi and Jiro Gyoba",
    licence="non-commercial research; no redistribution",
    obtain="Request access from the owners (Zenodo record of the JAFFE dataset).",
    tree="jaffe/\n    KA.AN1.39.tiff ...    213 files (also inside jaffedbase/)",
    may_show=False,
    notes=(
        "213 images of 256x256, 10 subjects, seven classes; 183 without neutral.",
        "The numbers of the repetitions are not contiguous. The semantic ratings of the README belong to "
        "images by serial number (the column serial), never by key.",
    ),
    place=3,
    codes={"In the name": CODES},
    lacks={"sequences": "JAFFE is stills, so no sequence can be read"},
)

PRINTED = (
    Printed("cnn_sift-s42-jaffe-total", "images", 213),
    Printed("cspp-s31-jaffe-images", "images", 183, {"classes": "six"}),
    Printed("cspp-t1-jaffe-subjects", "subjects", 10, {"classes": "six"}),
    Printed(
        *("cspp-t1-jaffe-samples", "images", 183, {"classes": "six"}),
        "The table counts the neutral images too; the paper's six classes leave the 183 of its text.",
    ),
)


def parse(name: str) -> dict[str, str | int] | None:
    """Return what a file name says (``KA.AN1.39.tiff``), None for any other name."""
    if (match := FILE_NAME.fullmatch(name)) is None:
        return None
    subject, code, repetition, serial = (part.upper() for part in match.groups())
    said = {"id": f"{subject}.{code}{repetition}.{serial}", "expression": CODES[code], "subject": subject}
    return said | {"repetition": int(repetition), "serial": int(serial)}


def locate(root: Path, classes: str) -> Source | None:
    """List JAFFE's images below ``root``; None where there is none.

    ``classes`` is ``seven`` (all 213 images) or ``six`` (the 183 that are not neutral; paper 3, Sect. 3.1).
    """
    source = Source(root, "files", CLASSES[classes], expected=OFFICIAL)
    source.rows = list(named_rows(source, parse))
    if not source.rows:
        return None
    drop_repeats(source)
    counts = Counter(row[key] for key in ("expression", "subject") for row in source.rows)
    source.facts = {"images": len(source.rows), **counts}
    use(source, (row for row in source.rows if row["expression"] in source.classes))
    return source


READER = Reader(
    CARD,
    locate,
    {"classes": tuple(CLASSES)},
    {"crop": None, "size": None},
    faults=wrong_counts,
    printed=PRINTED,
)
