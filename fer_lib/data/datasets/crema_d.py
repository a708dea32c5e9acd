"""CREMA-D: 91 actors speak twelve sentences in six emotions, filmed from the front.

The corpus has the classes anger, disgust, fear, happiness, sadness and neutral, ``subjects`` (``1001``),
``sequences`` (the film's name) and the columns ``sentence``, ``level`` (unspecified, low, medium, high),
``frame`` and ``frames``. Its ``size`` is by default half of the films' 360x480: ten frames of all films are
3.2 GB.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from fer_lib.data.corpus import Card
from fer_lib.data.reader import Reader
from fer_lib.data.sources import Source, drop_repeats, named_rows, wrong_counts
from fer_lib.data.video import ACTED, one_form, read_acted, take_acted
from fer_lib.expressions import EXPRESSIONS, codes

FILE_NAME = re.compile(
    r"(1\d{3})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(XX?|LO|MD|HI)\.(flv|mp4)", re.IGNORECASE | re.ASCII
)
CODES = codes("ANG=anger DIS=disgust FEA=fear HAP=happy NEU=neutral SAD=sad")
CLASSES = tuple(name for name in EXPRESSIONS if name in CODES.values())
LEVELS = {"X": "unspecified", "XX": "unspecified", "LO": "low", "MD": "medium", "HI": "high"}
SIZE = (180, 240)  # height, width: half of the films'
OFFICIAL = {"films": 7442, "actors": 91}

CARD = Card(
    name="crema_d",
    title="CREMA-D (Crowd-sourced Emotional Multimodal Actors Dataset)",
    owner="Houwei Cao, David Cooper, Michael Keutmann, Ruben Gur, Ani Nenkova and Ragini Verma (2014)",
    licence="Open Database License 1.0, contents under the Database Contents License 1.0",
    obtain="Clone the owners' repository CheyneyComputerScience/CREMA-D (GitHub, mirrored on GitLab) with "
    "Git LFS installed; without it, or in a zip file, the films are pointers of some hundred bytes.",
    tree="""\
crema_d/
    VideoFlash/1001_DFA_ANG_XX.flv ...    (in any folder; also converted to mp4)
    <actor>_<sentence>_<ANG|DIS|FEA|HAP|NEU|SAD>_<XX|LO|MD|HI>""",
    may_show=False,
    notes=(
        "91 actors, 7442 films of one sentence each, in five of the six basic expressions and neutral: "
        "nobody plays surprise.",
        "One of the twelve sentences (IEO) is spoken at three levels of emotion: LO, MD, HI. XX is no "
        "level in particular.",
        "The label is what the actor was asked for. What people saw in it is in the owners' ratings, which "
        "are not read.",
        "Where the apex lies is not annotated: the middle of a film is taken for it.",
    ),
    place=9,
    codes={"In the name": CODES},
    complete={"sequences": 7442, "subjects": 91},
    stands_in=("cnn3d",),
)


def parse(name: str) -> dict[str, str] | None:
    """Return what a film's name says (``1001_DFA_ANG_XX.flv``), None for any other name."""
    if (match := FILE_NAME.fullmatch(name)) is None:
        return None
    actor, sentence, emotion, level, container = (part.upper() for part in match.groups())
    said = {"id": f"{actor}_{sentence}_{emotion}_{level}", "expression": CODES[emotion], "subject": actor}
    return said | {"sentence": sentence, "level": LEVELS[level], "container": container}


def locate(root: Path, frames: str) -> Source | None:
    """List the films below ``root``; None where there is none.

    ``frames`` is ``apex``, ``last10`` or ``neutral``: :func:`fer_lib.data.video.towards_apex`.
    """
    source = Source(root, "films", ("neutral",) if frames == "neutral" else CLASSES, expected=OFFICIAL)
    source.rows = one_form(named_rows(source, parse), "container", "FLV")  # the owners' own
    if not source.rows:
        return None
    drop_repeats(source)
    found = Counter(row["expression"] for row in source.rows)
    source.facts = {"films": len(source.rows), "actors": len({row["subject"] for row in source.rows})}
    source.facts |= {name: found[name] for name in CLASSES}
    take_acted(source, source.rows, frames)
    return source


READER = Reader(CARD, locate, {"frames": ACTED}, {"size": SIZE}, read_acted, faults=wrong_counts)
