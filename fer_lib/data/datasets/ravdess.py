"""RAVDESS: 24 actors speak and sing two sentences in eight emotions, filmed from the front."""

from __future__ import annotations

import re
from pathlib import Path

from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.sources import Reader, Source, drop_repeats, located, named_rows, wrong_counts
from fer_lib.data.video import ACTED, read_acted
from fer_lib.errors import one_of
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
ACTORS = {"speech": 24, "song": 23}  # actor 18 does not sing
SUNG = ("calm", "happiness", "sadness", "anger", "fear")
# An actor performs each emotion eight times, and neutral, which has one intensity, four times.
OFFICIAL = {
    channel: {"actors": n, **{name: n * (4 if name == "neutral" else 8) for name in ("neutral", *emotions)}}
    for (channel, n), emotions in zip(ACTORS.items(), (("calm", *EXPRESSIONS[:6]), SUNG), strict=True)
}
OFFICIAL["all"] = {
    name: 24 if name == "actors" else n + OFFICIAL["song"].get(name, 0)
    for name, n in OFFICIAL["speech"].items()
}

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
        "Calm is left out. Song has no disgust and no surprise.",
        "Where the apex lies is not annotated: the middle of a film is taken for it.",
    ),
    place=8,
    codes={"In the name": CODES},
    complete={
        "sequences": 1440,
        "subjects": 24,
        **{name: n for name, n in OFFICIAL["speech"].items() if name in EXPRESSIONS},
    },
    stands_in=("cnn3d",),
    addresses=tuple(
        f"https://zenodo.org/records/1188976/files/Video_Speech_Actor_{actor:02}.zip"
        for actor in range(1, 25)
    ),
)


def parse(name: str) -> dict[str, str | int] | None:
    """Return what a film's name says (``02-01-06-01-02-01-12.mp4``), None for any other name.

    The id is the name without its modality: with sound or without it is one film. The expression of calm is
    empty.
    """
    if (match := FILE_NAME.fullmatch(name)) is None:
        return None
    modality, channel, emotion, intensity, statement, repetition, actor = match.groups()
    return {
        "id": "-".join(match.groups()[1:]),
        "expression": CODES.get(emotion, ""),
        "subject": f"actor{actor}",
        "sex": "M" if int(actor) % 2 else "F",
        "modality": modality,
        "channel": CHANNELS[channel],
        "intensity": INTENSITIES[intensity],
        "statement": int(statement),
        "repetition": int(repetition),
    }


def is_ours(folder: str, name: str) -> bool:
    """Return whether a file in ``folder`` looks like one of this corpus's."""
    return FILE_NAME.fullmatch(name) is not None


def locate(
    root: Path, *, channel: str = "speech", classes: str = "seven", frames: str = "apex"
) -> Source | None:
    """List the films below ``root``; None where there is none. Options as in :func:`read`."""
    one_of(channel, OFFICIAL, "channel of ravdess")
    one_of(classes, CLASSES, "classes of ravdess")
    one_of(frames, ACTED, "frames of ravdess")
    source = Source(root, "films", ("neutral",) if frames == "neutral" else CLASSES[classes])
    source.expected = OFFICIAL[channel]
    rows = list(named_rows(source, parse))
    if not rows:
        return None
    chosen = {row["id"]: row["modality"] for row in sorted(rows, key=lambda row: row["modality"])}
    rows = [row for row in rows if chosen[row["id"]] == row.pop("modality")]
    source.rows = sorted((r for r in rows if channel in ("all", r["channel"])), key=lambda r: r["id"])
    drop_repeats(source)
    found = [row["expression"] or "calm" for row in source.rows]
    source.facts = {
        "actors": len({row["subject"] for row in source.rows}),
        **{name: found.count(name) for name in OFFICIAL[channel] if name != "actors"},
    }
    if other := len(rows) - len(source.rows):
        source.remarks.append(f"{other:,} films of the other channel were left out.")
    if calm := found.count("calm"):
        source.remarks.append(f"{calm:,} films of calm, which no paper has, were left out.")
    source.rows = [row for row in source.rows if row["expression"] in CLASSES[classes]]
    if frames == "neutral":
        source.rows = [{**row, "expression": "neutral"} for row in source.rows]
    source.files = [row["path"] for row in source.rows]
    return source


def read(
    root: str | Path | Source,
    problems: list[str] | None = None,
    *,
    channel: str = "speech",
    classes: str = "seven",
    frames: str = "apex",
    size: int | tuple[int, int] | None = SIZE,
) -> Corpus:
    """Read the films of RAVDESS from ``root``; only the frames that are asked for are kept.

    Parameters
    ----------
    root, problems
        As in :func:`fer_lib.data.image_files.read_stills`.
    channel : {"speech", "song", "all"}
    classes : {"seven", "six"}
        The six basic expressions and neutral, or without neutral. Calm is left out.
    frames : {"apex", "last10", "neutral"}
        See :func:`fer_lib.data.video.towards_apex`: the middle of each film, ten frames that lead there
        from its start, or its first frame, labelled neutral.
    size : int or (height, width), optional
        Size of the frames, by default a third of the films' 720x1280: ten frames of all films of speech are
        1.3 GB. None leaves them as they are.

    Returns
    -------
    Corpus
        Grey frames ordered by film and frame, with ``subjects`` (``actor01``), ``sequences`` (the name
        without modality) and the columns ``sex`` (F, M), ``channel``, ``intensity`` (normal, strong),
        ``statement``, ``repetition``, ``frame`` and ``frames``.

    Raises
    ------
    FerError
        As ``read_stills``, and if nothing is there or an option is unknown.
    """
    source = located(root, CARD, locate, channel=channel, classes=classes, frames=frames)
    return read_acted(source, CARD, size, problems, frames)


READER = Reader(
    CARD,
    read,
    options={"channel": "speech", "classes": "seven", "frames": "apex", "size": SIZE},
    locate=locate,
    selecting=("channel", "classes", "frames"),
    is_ours=is_ours,
    faults=wrong_counts,
)
