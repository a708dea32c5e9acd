"""Oulu-CASIA NIR&VIS: image sequences from neutral to apex, two cameras, three illuminations.

The corpus has ``subjects``, ``sequences`` (``VL-Strong-P001-Anger``) and the columns ``camera``,
``illumination`` and ``frame`` (the number in the file name).
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from fer_lib.data.corpus import Card
from fer_lib.data.printed import Printed
from fer_lib.data.reader import Reader
from fer_lib.data.sources import Source, counted, shown, take_frames, walk
from fer_lib.expressions import EXPRESSIONS, canonical

FOLDER = re.compile(
    r"(?:.*/)?(VL|NI)(_Acropped)?/(Strong|Weak|Dark)/(P\d{3})/(Anger|Disgust|Fear|Happiness|Sadness|Surprise)",
    re.IGNORECASE | re.ASCII,
)
FRAME = re.compile(r"(\d{3})\.jpe?g", re.IGNORECASE | re.ASCII)
CAMERAS = ("VL", "NI", "all")
ILLUMINATIONS = ("Strong", "Weak", "Dark", "all")
FRAMES = ("last10", "last3", "apex", "neutral", "all")
SUBJECTS = tuple(f"P{n:03}" for n in range(1, 81))

CARD = Card(
    name="oulu_casia",
    title="Oulu-CASIA NIR&VIS",
    owner="Guoying Zhao and others; University of Oulu",
    licence="research only; no redistribution",
    obtain="Sign the licence agreement of the Center for Machine Vision, University of Oulu.",
    tree="""\
oulu_casia/
    OriginalImg/{VL,NI}/{Strong,Weak,Dark}/P001/Anger/000.jpeg                  (also inside B_OriginalImg/)
or  PreProcess Img/{VL,NI}_Acropped/{Strong,Weak,Dark}/P001/Anger/000.jpeg      (also inside C_.../)""",
    may_show=False,
    notes=(
        "80 subjects (P001 to P080), six expressions: 480 sequences per camera and illumination, of which "
        "some copies miss one. The first frame is neutral, the last the apex.",
        "VL is visible light, NI near infrared; paper 4's normal illumination is VL with Strong.",
    ),
    place=6,
    codes={"Folder": {name.capitalize(): name for name in EXPRESSIONS[:6]}},
)

PRINTED = (Printed("cnn3d-s42-oulu-subjects", "subjects", 80),)

Key = tuple[str, str, str, str, str]  # tree, camera, illumination, subject, expression


def parse(folder: str) -> Key | None:
    """Return what a sequence's folder says (``.../VL/Strong/P001/Anger``), None for any other folder."""
    if (match := FOLDER.fullmatch(folder)) is None:
        return None
    camera, cropped, illumination, subject, expression = match.groups()
    tree = "preprocessed" if cropped else "original"
    return tree, camera.upper(), illumination.capitalize(), subject.upper(), expression.capitalize()


def locate(root: Path, camera: str, illumination: str, frames: str) -> Source | None:
    """List the frames asked for; None where ``root`` has no sequence at all.

    Whole images are taken where they are, else the owners' face crops. ``camera`` is visible light or near
    infrared; paper 4's "normal illumination" is ``VL`` with ``Strong``. Of ``frames``, ``apex`` is the last
    and ``neutral`` the first, labelled neutral; a sequence that is shorter gives the frames it has.
    """
    source = Source(root, "", ("neutral",) if frames == "neutral" else EXPRESSIONS[:6])
    found = _list_sequences(root, source)
    if not found:
        return None
    parts = sorted({key[:3] for key in found})
    wanted = [p for p in parts if camera in ("all", p[1]) and illumination in ("all", p[2])]
    if not wanted:
        have = "; ".join(" ".join(part) for part in parts)
        asked = f"camera={camera}, illumination={illumination}"
        source.problems.append(f"{shown(root)} holds nothing for {asked}; it holds {have}.")
        return source
    source.form = min(wanted)[0]  # original before preprocessed
    used = [part for part in wanted if part[0] == source.form]
    if elsewhere := sorted({part[1:] for part in wanted} - {part[1:] for part in used}):
        lacks = "; ".join(" ".join(part) for part in elsewhere)
        source.remarks.append(f"Only the {source.form} tree was read; it lacks {lacks}.")
    chosen = {key: folders for key, folders in sorted(found.items()) if key[:3] in used}
    complete = itertools.product(used, SUBJECTS, map(str.capitalize, EXPRESSIONS[:6]))
    missing = [(*part[1:], *key) for part, *key in complete if (*part, *key) not in chosen]
    source.facts = {"sequences": len(chosen), "missing_sequences": len(missing)}
    if missing:
        source.remarks.append(f"{counted([' '.join(key) for key in missing])} are missing or empty.")
    sequences, labels, repeats = {}, {}, []
    for (_, camera, illumination, subject, expression), folders in chosen.items():
        # The fullest first: others may be interrupted copies.
        folder, *others = sorted(folders, key=lambda folder: (-len(folders[folder]), folder))
        repeats += [(folder, other) for other in others]
        name = f"{camera}-{illumination}-{subject}-{expression}"
        labels[name] = "neutral" if frames == "neutral" else canonical(expression)
        said = {"subject": subject, "sequence": name, "camera": camera, "illumination": illumination}
        by_number = {file.partition(".")[0]: file for file in sorted(folders[folder])}
        sequences[name] = [
            {"path": root / folder / file, "id": f"{name}-{number}", **said, "frame": int(number)}
            for number, file in sorted(by_number.items())
        ]
    if repeats:
        one, other = (shown(root / folder) for folder in repeats[0])
        source.problems.append(
            f"{len(repeats):,} sequences are here more than once, the first in {one} and in {other}; remove "
            "one copy, or give the folder of the other as data folder."
        )
    take_frames(source, sequences, labels, frames)
    return source


def _list_sequences(root: Path, source: Source) -> dict[Key, dict[str, list[str]]]:
    """Return the frames of every sequence: {key: {folder: [file names]}}, usually one folder for each."""
    found: dict[Key, dict[str, list[str]]] = {}
    above = root.absolute().as_posix()  # the root itself may be VL or Strong
    for file in walk(root, source.problems):
        folder, _, name = file.rpartition("/")
        key = parse(f"{above}/{folder}".rstrip("/"))
        if key and FRAME.fullmatch(name):
            found.setdefault(key, {}).setdefault(folder, []).append(name)
        else:
            source.pass_over(file)
    return found


CHOICES = {"camera": CAMERAS, "illumination": ILLUMINATIONS, "frames": FRAMES}
READER = Reader(CARD, locate, CHOICES, printed=PRINTED)
