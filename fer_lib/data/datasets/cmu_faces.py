"""CMU Face Images: the freely available set of 20 people in four poses and four expressions.

The corpus has the classes anger, happiness, sadness and neutral, ``subjects`` (the user ids) and the columns
``pose``, ``eyes`` and ``scale``.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from fer_lib.data.corpus import Card
from fer_lib.data.reader import Reader
from fer_lib.data.sources import Source, drop_repeats, named_rows, use
from fer_lib.expressions import canonical

FILE_NAME = re.compile(
    r"([a-z0-9]+)_(straight|left|right|up)_(neutral|happy|sad|angry)_(open|sunglasses)(?:_([24]))?\.(pgm|bad)",
    re.IGNORECASE | re.ASCII,
)
CLASSES = ("anger", "happiness", "sadness", "neutral")
POSES = ("all", "straight", "left", "right", "up")
EYES = ("all", "open", "sunglasses")
SCALES = {"full": "128x120", "2": "64x60", "4": "32x30"}  # width x height
USUAL = {"anger": 155, "happiness": 155, "sadness": 156, "neutral": 158}  # usable images per scale

CARD = Card(
    name="cmu_faces",
    title="CMU Face Images",
    owner="Tom Mitchell, Carnegie Mellon University; UCI Machine Learning Repository no. 124",
    licence="free for educational use with attribution",
    obtain="Download 'CMU Face Images' from the UCI Machine Learning Repository: fer data fetch cmu_faces.",
    tree="""\
cmu_faces/
    faces/<userid>/<userid>_<straight|left|right|up>_<neutral|happy|sad|angry>_<open|sunglasses>[_2|_4].pgm""",
    may_show=True,
    notes=(
        "20 subjects; 640 images were taken, 16 are glitches (named .bad), 624 are usable at each scale: "
        "neutral 158, sad 156, angry 155, happy 155.",
        "A quarter are frontal and half wear sunglasses: the columns pose and eyes, and pose='straight'.",
        "No suffix is full size (128x120), _2 is 64x60, _4 is 32x30; the most complete scale is read.",
    ),
    place=7,
    codes={"In the name": {word: canonical(word) for word in ("angry", "happy", "sad", "neutral")}},
    lacks={"sequences": "CMU faces is stills, so no sequence can be read"},
    stands_in=("cnn_sift", "cspp", "lkrnet"),
    address="https://archive.ics.uci.edu/static/public/124/cmu+face+images.zip",
)


def parse(name: str) -> dict[str, str] | None:
    """Return what a file name says (``an2i_left_sad_open_4.pgm``), None for any other name."""
    if (match := FILE_NAME.fullmatch(name)) is None:
        return None
    user, pose, expression, eyes, scale, kind = ((part or "full").lower() for part in match.groups())
    said = {"id": f"{user}_{pose}_{expression}_{eyes}", "expression": canonical(expression), "subject": user}
    return said | {"pose": pose, "eyes": eyes, "scale": scale, "kind": kind}


def locate(root: Path, scale: str, pose: str, eyes: str) -> Source | None:
    """List the images below ``root``; None where there is none of any scale.

    ``scale`` is ``full`` (128x120, width x height), ``2`` (64x60), ``4`` (32x30) or ``best``, the most
    complete of them here, the largest one of several. ``pose`` and ``eyes`` select values of their columns.
    """
    source = Source(root, "", CLASSES, expected={"usable": sum(USUAL.values())})
    named = list(named_rows(source, parse))
    if not named:
        return None
    if scale == "best":  # `max` takes the first, larger one of equals
        ids = {known: {row["id"] for row in named if row["scale"] == known} for known in SCALES}
        scale = max(SCALES, key=lambda known: len(ids[known]))
    source.form = f"scale {scale}: {SCALES[scale]}"
    rows = [row for row in named if row["scale"] == scale]
    source.rows = [row for row in rows if row.pop("kind") == "pgm"]
    bad = len(rows) - len(source.rows)
    drop_repeats(source)
    source.facts = {"bad": bad, "usable": len(source.rows)}
    if bad:
        source.remarks.append(f"{bad} images that the owners marked as glitches (.bad) were skipped.")
    found = Counter(row["expression"] for row in source.rows)
    source.remarks += [
        f"{name}: {found[name]} images at this scale, the complete set has {usual}."
        for name, usual in USUAL.items()
        if found[name] != usual
    ]
    use(source, (r for r in source.rows if pose in ("all", r["pose"]) and eyes in ("all", r["eyes"])))
    return source


READER = Reader(
    CARD,
    locate,
    {"scale": ("best", *SCALES), "pose": POSES, "eyes": EYES},
    {"crop": None, "size": None},
    whole=tuple({"scale": scale} for scale in SCALES),
)
