"""RAVDESS: 24 actors speak two sentences in eight emotions, filmed from the front.

The corpus has ``subjects`` (``actor01``), ``sequences`` (the film's name without modality) and the columns
``sex`` (F, M), ``channel``, ``intensity`` (normal, strong), ``statement``, ``repetition``, ``frame`` and
``frames``. Its ``size`` is by default a third of the films' 720x1280: ten frames of all films are
1.3 GB.
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
    r"(0[12])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])\.mp4", re.IGNORECASE | re.ASCII
)
# 02 (calm) is a label of its own and no expression of the papers: no code here.
CODES = codes("01=neutral 03=happy 04=sad 05=angry 06=fearful 07=disgust 08=surprised")
CLASSES = {"seven": EXPRESSIONS[:7], "six": EXPRESSIONS[:6]}
CHANNELS = {"01": "speech", "02": "song"}
INTENSITIES = {"01": "normal", "02": "strong"}
SIZE = (240, 426)  # height, width: a third of the films'
# An actor speaks each emotion eight times, and neutral, which has one intensity, four times.
OFFICIAL = {"actors": 24, "neutral": 96, **dict.fromkeys(("calm", *EXPRESSIONS[:6]), 192)}

CARD = Card(
    name="ravdess",
    title="RAVDESS (Ryerson Audio-Visual Database of Emotional Speech and Song)",
    owner="Steven Livingstone and Frank Russo (2018); Ryerson University",
    licence="CC BY-NC-SA 4.0: attribution, not commercial, share alike",
    obtain="Download Video_Speech_Actor_01.zip to Video_Speech_Actor_24.zip from the owners' Zenodo record "
    "1188976; each actor's films are one archive.",
    tree="""\
ravdess/
    Actor_01/02-01-06-01-02-01-01.mp4 ...    (in any folder; the audio files are not read)
    <modality>-<channel>-<emotion>-<intensity>-<statement>-<repetition>-<actor>.mp4""",
    may_show=False,
    notes=(
        "24 actors, 1440 films of speech and 1012 of song; each lies there with sound (01-...) and without "
        "(02-...), which is one film: one of the two is read.",
        "Emotions: 01 neutral, 02 calm, 03 happy, 04 sad, 05 angry, 06 fearful, 07 disgust, 08 surprised. "
        "Calm is left out, and so are the songs, which have no disgust and no surprise.",
        "Where the apex lies is not annotated: the middle of a film is taken for it.",
    ),
    place=8,
    codes={"In the name": CODES},
    complete={"sequences": 1440, "subjects": 24, **{name: OFFICIAL[name] for name in EXPRESSIONS[:7]}},
    stands_in=("cnn3d",),
)


def parse(name: str) -> dict[str, str | int] | None:
    """Return what a film's name says (``02-01-06-01-02-01-12.mp4``), None for any other name.

    The id is the name without its modality: with sound or without it is one film. The expression of calm is
    empty.
    """
    if (match := FILE_NAME.fullmatch(name)) is None:
        return None
    modality, channel, emotion, intensity, statement, repetition, actor = match.groups()
    said: dict[str, str | int] = {"id": name[3:-4], "expression": CODES.get(emotion, "")}
    said |= {"subject": f"actor{actor}", "sex": "M" if int(actor) % 2 else "F", "modality": modality}
    said |= {"channel": CHANNELS[channel], "intensity": INTENSITIES[intensity]}
    return said | {"statement": int(statement), "repetition": int(repetition)}


def locate(root: Path, classes: str, frames: str) -> Source | None:
    """List the films of speech below ``root``; None where there is no film.

    ``classes`` is ``seven`` (the six basic expressions and neutral) or ``six``; calm is left out. ``frames``
    is ``apex``, ``last10`` or ``neutral``: :func:`fer_lib.data.video.towards_apex`.
    """
    chosen = ("neutral",) if frames == "neutral" else CLASSES[classes]
    source = Source(root, "films", chosen, expected=OFFICIAL)
    films = one_form(named_rows(source, parse), "modality", "02")  # without its sound
    if not films:
        return None
    source.rows = [row for row in films if row["channel"] == "speech"]
    drop_repeats(source)
    found = Counter(row["expression"] or "calm" for row in source.rows)
    source.facts = {"actors": len({row["subject"] for row in source.rows})}
    source.facts |= {name: found[name] for name in OFFICIAL if name != "actors"}
    if sung := len(films) - len(source.rows):
        source.remarks.append(f"{sung:,} films of song were left out.")
    if calm := found["calm"]:
        source.remarks.append(f"{calm:,} films of calm, which no paper has, were left out.")
    take_acted(source, (row for row in source.rows if row["expression"] in CLASSES[classes]), frames)
    return source


READER = Reader(
    CARD,
    locate,
    {"classes": tuple(CLASSES), "frames": ACTED},
    {"size": SIZE},
    read_acted,
    faults=wrong_counts,
)
