"""CK+ as the original tree and as the crops called CK+48; ckextended.csv is refused with the reason.

The corpus has ``subjects`` (``S005``), ``sequences`` (``S005_001``) and the column ``frame`` (the number in
the file name). The option ``crop`` (:data:`fer_lib.faces.FACE`) cuts out the face of the original tree;
``valid`` is then False where none was found and the whole frame is used.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.image_files import Crop, read_stills
from fer_lib.data.printed import Printed
from fer_lib.data.reader import Reader
from fer_lib.data.sources import (
    FRAMES,
    Source,
    by_sequence,
    counted,
    drop_repeats,
    shown,
    take_frames,
    walk,
    wrong_counts,
)
from fer_lib.errors import FerError
from fer_lib.expressions import ALIASES, EXPRESSIONS, canonical, codes

FILE_NAME = re.compile(
    r"(S\d{3})_(\d{3})_(\d{8})(?:(\.png)|_(emotion|landmarks|facs)\.txt)", re.IGNORECASE | re.ASCII
)
FOLDERS = {*EXPRESSIONS, *ALIASES}  # names of class folders
LABEL = re.compile(r"([1-7])(?:\.0*)?(?:e\+?0+)?", re.IGNORECASE | re.ASCII)  # written as 3.0000000e+00
TABLE = "ckextended.csv"
# 0 (neutral) is in the owners' list of codes, but no apex has it.
CODES = codes("0=neutral 1=anger 2=contempt 3=disgust 4=fear 5=happy 6=sadness 7=surprise")
CLASSES = {"seven": (*EXPRESSIONS[:6], "contempt"), "six": EXPRESSIONS[:6]}
PER_CLASS = {"anger": 45, "disgust": 59, "fear": 25, "happiness": 69, "sadness": 28, "surprise": 83}
PER_CLASS |= {"contempt": 18}  # labelled sequences
OFFICIAL = {
    "original": {"sequences": 593, "subjects": 123, "labelled": 327, "labelled_subjects": 118, **PER_CLASS},
    "ck48": {"images": 981, **{name: 3 * n for name, n in PER_CLASS.items()}},
}

CARD = Card(
    name="ckplus",
    title="CK+ (Extended Cohn-Kanade)",
    owner="Jeffrey Cohn and Takeo Kanade; University of Pittsburgh and Carnegie Mellon University",
    licence="signed agreement per user; no redistribution",
    obtain="Sign the user agreement of the Affect Analysis Group, University of Pittsburgh.",
    tree="""\
ckplus/
    cohn-kanade-images/S005/001/S005_001_00000001.png    (also inside extended-cohn-kanade-images/)
    Emotion/S005/001/S005_001_00000011_emotion.txt       (or Emotion_labels/)
    Landmarks/, FACS/                                    (not read)
or  CK+48/<class>/S005_001_00000009.png
(ckextended.csv has no subjects and is not read)""",
    may_show=False,
    notes=(
        "593 sequences of 123 subjects, 327 of them labelled, of 118 subjects. The first frame is neutral, "
        "the last the apex.",
        "Frames are grey or colour and of several sizes, and show more than the face.",
        "CK+48 holds the last three frames of the 327: three nearly equal images of one face, which a random "
        "split leaks between its parts.",
        "ckextended.csv, a table of 920 images, has no subjects and other label codes: it is refused.",
    ),
    place=2,
    codes={"Emotion file": CODES},
)

_SIX = {"frames": "last3", "classes": "six"}
PRINTED = (
    Printed("cnn_sift-s42-ck-sequences", "images", 327),
    Printed("cnn_sift-s42-ck-used", "images", 309, {"classes": "six"}),
    Printed("cspp-s31-ck-all-sequences", "sequences", 593, whole="sequences"),
    Printed("cspp-s31-ck-all-subjects", "subjects", 123, whole="subjects"),
    Printed("cspp-s31-ck-labelled", "sequences", 327, {"frames": "last3"}),
    Printed("cspp-s31-ck-sequences", "sequences", 309, _SIX),
    Printed("cspp-t1-ck-samples", "images", 927, _SIX),
    Printed(
        *("cspp-t1-ck-subjects", "subjects", None, _SIX),
        "The owners do not count the subjects by class, so it is not known beforehand how many of the 118 "
        "labelled ones show one of the six.",
    ),
    Printed("cnn3d-s41-ck-labelled", "sequences", 327, {"frames": "last10"}),
    Printed("cnn3d-s41-ck-labelled-subjects", "subjects", 118, {"frames": "last10"}),
    Printed("cnn3d-s41-ck-all", "sequences", 593, whole="sequences"),
    Printed("cnn3d-s41-ck-all-subjects", "subjects", 123, whole="subjects"),
    Printed("lkrnet-s41-ck-labelled", "sequences", 327, {"frames": "last3"}),
)


def parse(name: str) -> dict[str, Any] | None:
    """Return what a file name says (``S005_001_00000011_emotion.txt``), None for any other name.

    ``kind`` is ``image``, ``emotion``, ``landmarks`` or ``facs``.
    """
    if (match := FILE_NAME.fullmatch(name)) is None:
        return None
    subject, number, frame, image, kind = match.groups()
    sequence = f"{subject.upper()}_{number}"
    said = {"id": f"{sequence}_{frame}", "subject": subject.upper(), "sequence": sequence}
    return said | {"frame": int(frame), "kind": "image" if image else kind.lower()}


def locate(root: Path, frames: str, classes: str) -> Source | None:
    """List the frames asked for; None where ``root`` has no form of CK+.

    ``frames`` is ``apex``: the last frame of each labelled sequence (327; 309 in six classes); ``last3``
    (981; 927), ``last10`` or ``all``: the last frames, fewer for a shorter sequence
    (:func:`fer_lib.data.clips.sequences` makes clips of one length of them); or ``neutral``: the first frame
    of every sequence, labelled or not (593), labelled neutral, which is their one class. CK+48 has ``apex``
    and ``last3``; FerError for others. ``classes`` is the owners' ``seven``, or ``six`` without contempt.
    """
    source = Source(root, "original", ("neutral",) if frames == "neutral" else CLASSES[classes])
    images, crops, emotions, table = [], [], [], None
    above = root.absolute().as_posix()  # the root itself may be a class folder
    for file in walk(root, source.problems):
        folder, _, name = f"{above}/{file}".rpartition("/")
        if name.lower() == TABLE:
            table = root / file
        elif (said := parse(name)) is None:
            source.pass_over(file)
        elif (kind := said.pop("kind")) == "emotion":
            emotions.append({"path": root / file, **said})
        elif kind == "image":
            parent = folder.rpartition("/")[2].strip().lower()
            if parent in FOLDERS:
                crops.append({"path": root / file, **said, "expression": canonical(parent)})
            else:
                images.append({"path": root / file, **said})
    if images:
        _select(source, images, emotions, frames)
    elif crops:
        _select_crops(source, crops, frames)
    elif table:
        raise FerError(
            f"{shown(table)} names no subjects and holds no sequences, so no paper's protocol can be "
            "followed; get the original tree of CK+ from its owners."
        )
    else:
        return None
    source.expected = OFFICIAL[source.form]
    return source


def _read_labels(emotions: list[dict[str, Any]], source: Source) -> dict[str, str]:
    """Return the expression of each labelled sequence; an empty emotion file is no label."""
    labels: dict[str, str] = {}
    for row in emotions:
        source.files.append(row["path"])
        text = row["path"].read_bytes().decode("ascii", "replace").strip()
        if not text:
            continue
        if (match := LABEL.fullmatch(text)) is None:
            wrong = f"holds {text[:20]!r}, expected one number from 1 to 7; get this file again."
            source.problems.append(f"{shown(row['path'])}: {wrong}")
        elif (other := labels.setdefault(row["sequence"], CODES[match[1]])) != CODES[match[1]]:
            source.problems.append(
                f"{shown(row['path'])}: says {CODES[match[1]]}, but another emotion file of the sequence "
                f"says {other}; remove the wrong one."
            )
    return labels


def _select(
    source: Source, images: list[dict[str, Any]], emotions: list[dict[str, Any]], frames: str
) -> None:
    """Choose the frames of an original tree and count what it holds."""
    if not emotions and frames != "neutral":
        source.problems.append(
            f"{shown(source.root)} holds images of CK+ but no emotion file: put Emotion (or Emotion_labels) "
            "beside the images, and give the folder that holds both."
        )
    labels = _read_labels(emotions, source)
    source.rows = images
    drop_repeats(source)
    sequences = by_sequence(source.rows)
    labelled = [name for name in sequences if name in labels]
    source.facts = {
        "sequences": len(sequences),
        "subjects": len({name[:4] for name in sequences}),
        "labelled": len(labelled),
        "labelled_subjects": len({name[:4] for name in labelled}),
        "unlabelled": len(sequences) - len(labelled),
        **{expression: sum(labels[name] == expression for name in labelled) for expression in PER_CLASS},
    }
    if orphans := sorted(set(labels) - set(sequences)):
        source.remarks.append(f"{counted(orphans)} have an emotion file but no frames.")
    if frames == "neutral":  # of unlabelled sequences too; but a lone frame is an apex as well
        sequences = {name: rows[:1] for name, rows in sequences.items() if len(rows) > 1}
        labels = dict.fromkeys(sequences, "neutral")
    else:
        source.remarks.append(f"{source.facts['unlabelled']:,} sequences are unlabelled and were left out.")
        sequences = {name: sequences[name] for name in labelled}
    take_frames(source, sequences, labels, frames)


def _select_crops(source: Source, crops: list[dict[str, Any]], frames: str) -> None:
    """Choose the frames of CK+48: the last three of each labelled sequence, in class folders."""
    source.form, source.rows = "ck48", crops
    if frames not in ("apex", "last3"):
        raise FerError(
            f"{shown(source.root)} is CK+48, which holds only the last three frames of a sequence; frames is "
            f"'apex' or 'last3', {frames!r} needs the original tree."
        )
    drop_repeats(source)
    sequences = by_sequence(source.rows)
    found, labels = Counter(row["expression"] for row in source.rows), {}
    source.facts = {"images": len(source.rows), **{name: found[name] for name in PER_CLASS}}
    for name, rows in sequences.items():
        labels[name], *others = sorted({row["expression"] for row in rows})
        if others:
            source.problems.append(
                f"{shown(source.root)}: sequence {name} lies in the folders of {labels[name]} and "
                f"{' and '.join(others)}; remove the wrong one."
            )
    source.remarks.append(
        "CK+48 holds three nearly equal frames of each sequence: split it by sequence or subject, never at "
        "random, which leaks frames of one sequence between the parts."
    )
    take_frames(source, sequences, labels, frames)


def _build(source: Source, card: Card, problems: list[str] | None, crop: Crop | None, **size: Any) -> Corpus:
    """Read the original tree, cropped if asked; CK+48 holds faces already."""
    return read_stills(source, card, problems, crop=crop if source.form == "original" else None, **size)


READER = Reader(
    CARD,
    locate,
    {"frames": FRAMES, "classes": tuple(CLASSES)},
    {"crop": None, "size": None},
    _build,
    faults=wrong_counts,
    printed=PRINTED,
)
