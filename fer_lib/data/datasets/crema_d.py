"""CREMA-D: 91 actors speak twelve sentences in six emotions, filmed from the front."""

from __future__ import annotations

import re
from pathlib import Path

from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.sources import Reader, Source, drop_repeats, located, named_rows, wrong_counts
from fer_lib.data.video import ACTED, read_acted
from fer_lib.errors import one_of
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
    return {
        "id": f"{actor}_{sentence}_{emotion}_{level}",
        "expression": CODES[emotion],
        "subject": actor,
        "sentence": sentence,
        "level": LEVELS[level],
        "container": container,
    }


def is_ours(folder: str, name: str) -> bool:
    """Return whether a file in ``folder`` looks like one of this corpus's."""
    return FILE_NAME.fullmatch(name) is not None


def locate(root: Path, *, frames: str = "apex") -> Source | None:
    """List the films below ``root``; None where there is none. For ``frames`` see :func:`read`."""
    one_of(frames, ACTED, "frames of crema_d")
    source = Source(root, "films", ("neutral",) if frames == "neutral" else CLASSES, expected=OFFICIAL)
    rows = list(named_rows(source, parse))
    if not rows:
        return None
    # Of two containers the owners' own, which is Flash.
    chosen = {row["id"]: row["container"] for row in sorted(rows, key=lambda r: r["container"], reverse=True)}
    rows = [row for row in rows if chosen[row["id"]] == row.pop("container")]
    source.rows = sorted(rows, key=lambda row: row["id"])
    drop_repeats(source)
    found = [row["expression"] for row in source.rows]
    source.facts = {
        "films": len(found),
        "actors": len({row["subject"] for row in source.rows}),
        **{name: found.count(name) for name in CLASSES},
    }
    if frames == "neutral":
        source.rows = [{**row, "expression": "neutral"} for row in source.rows]
    source.files = [row["path"] for row in source.rows]
    return source


def read(
    root: str | Path | Source,
    problems: list[str] | None = None,
    *,
    frames: str = "apex",
    size: int | tuple[int, int] | None = SIZE,
) -> Corpus:
    """Read the films of CREMA-D from ``root``; only the frames that are asked for are kept.

    Parameters
    ----------
    root, problems
        As in :func:`fer_lib.data.image_files.read_stills`.
    frames : {"apex", "last10", "neutral"}
        See :func:`fer_lib.data.video.towards_apex`: the middle of each film, ten frames that lead there
        from its start, or its first frame, labelled neutral.
    size : int or (height, width), optional
        Size of the frames, by default half of the films' 360x480: ten frames of all films are 3.2 GB. None
        leaves them as they are.

    Returns
    -------
    Corpus
        Grey frames ordered by film and frame, in the classes anger, disgust, fear, happiness, sadness and
        neutral, with ``subjects`` (``1001``), ``sequences`` (the film's name) and the columns ``sentence``,
        ``level`` (unspecified, low, medium, high), ``frame`` and ``frames``.

    Raises
    ------
    FerError
        As ``read_stills``, and if nothing is there or an option is unknown.
    """
    source = located(root, CARD, locate, frames=frames)
    return read_acted(source, CARD, size, problems, frames)


READER = Reader(
    CARD,
    read,
    options={"frames": "apex", "size": SIZE},
    locate=locate,
    selecting=("frames",),
    is_ours=is_ours,
    faults=wrong_counts,
)
