"""Oulu-CASIA NIR&VIS: image sequences from neutral to apex, two cameras, three illuminations.

The corpus has ``subjects``, ``sequences`` (``VL-Strong-P001-Anger``) and the columns ``camera``,
``illumination`` and ``frame`` (the number in the file name). Missing and empty sequences are remarked.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

from fer_lib.data.corpus import Card
from fer_lib.data.printed import Printed
from fer_lib.data.reader import Reader
from fer_lib.data.sequence_frames import FRAMES, NAMED, take
from fer_lib.data.sources import Source, shown, walk
from fer_lib.expressions import EXPRESSIONS, canonical

FOLDER = re.compile(
    r"(?:.*/)?(VL|NI)(_Acropped)?/(Strong|Weak|Dark)/(P\d{3})/(Anger|Disgust|Fear|Happiness|Sadness|Surprise)",
    re.IGNORECASE | re.ASCII,
)
FRAME = re.compile(r"(\d{3})\.jpe?g", re.IGNORECASE | re.ASCII)
CAMERAS = ("VL", "NI", "all")
ILLUMINATIONS = ("Strong", "Weak", "Dark", "all")
TREES = ("any", "original", "preprocessed")
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


def is_ours(folder: str, name: str) -> bool:
    """Return whether a file in ``folder`` looks like one of this corpus's."""
    return FRAME.fullmatch(name) is not None and parse(folder) is not None


def _list_sequences(root: Path, source: Source) -> dict[Key, dict[str, list[str]]]:
    """Return the frames of every sequence: {key: {folder: [file names]}}, usually one folder for each."""
    found: dict[Key, dict[str, list[str]]] = {}
    above = root.absolute().as_posix()  # the root itself may be VL or Strong
    for folder, files in itertools.groupby(walk(root, source.problems), lambda f: f.rpartition("/")[0]):
        key = parse(f"{above}/{folder}".rstrip("/"))
        names = [f.rpartition("/")[2] for f in files]
        frames = [n for n in names if key and FRAME.fullmatch(n)]
        for name in sorted(set(names).difference(frames)):
            source.pass_over(f"{folder}/{name}" if folder else name)
        if key and frames:
            found.setdefault(key, {})[folder] = frames
    return found


def locate(root: Path, camera: str, illumination: str, frames: str, tree: str) -> Source | None:
    """List the frames asked for; None where ``root`` has no sequence at all.

    Parameters
    ----------
    root : Path
    camera : {"VL", "NI", "all"}
        Visible light or near infrared.
    illumination : {"Strong", "Weak", "Dark", "all"}
        Paper 4's "normal illumination" is ``VL`` with ``Strong``.
    frames : {"last10", "last3", "apex", "neutral", "all"}
        ``apex`` is the last frame; ``neutral`` the first, labelled neutral. A sequence that is shorter
        gives the frames it has.
    tree : {"any", "original", "preprocessed"}
        Whole images or the owners' face crops; ``any`` takes the originals where they are.
    """
    source = Source(root, "", ("neutral",) if frames == "neutral" else EXPRESSIONS[:6])
    found = _list_sequences(root, source)
    if not found:
        return None
    parts = sorted({key[:3] for key in found})
    wanted = [p for p in parts if camera in ("all", p[1]) and illumination in ("all", p[2])]
    trees = sorted({p[0] for p in wanted if tree in ("any", p[0])})[:1]  # original before preprocessed
    if not trees:
        have = "; ".join(" ".join(part) for part in parts)
        asked = f"camera={camera}, illumination={illumination}, tree={tree}"
        source.problems.append(f"{shown(root)} holds nothing for {asked}; it holds {have}.")
        return source
    source.form = trees[0]
    if elsewhere := sorted({p[1:] for p in wanted} - {p[1:] for p in wanted if p[0] == trees[0]}):
        parts_left = "; ".join(" ".join(part) for part in elsewhere)
        source.remarks.append(f"Only the {trees[0]} tree was read; it lacks {parts_left}.")
    chosen = {key: folders for key, folders in found.items() if key[:3] in wanted and key[0] == source.form}
    missing = [
        f"{camera} {light} {subject} {name.capitalize()}"
        for (tree, camera, light), subject, name in itertools.product(
            sorted({key[:3] for key in chosen}), SUBJECTS, EXPRESSIONS[:6]
        )
        if (tree, camera, light, subject, name.capitalize()) not in chosen
    ]
    source.facts = {"sequences": len(chosen), "missing_sequences": len(missing)}
    if missing:
        more = f" and {len(missing) - NAMED:,} more" if len(missing) > NAMED else ""
        source.remarks.append(
            f"{len(missing):,} sequences are missing or empty: {', '.join(missing[:NAMED])}{more}."
        )
    sequences = dict(_rows(source, key, folders) for key, folders in sorted(chosen.items()))
    if repeats := [pair for folders in chosen.values() for pair in itertools.pairwise(_fullest(folders))]:
        one, other = (shown(root / folder) for folder in repeats[0])
        source.problems.append(
            f"{len(repeats):,} sequences are here more than once, the first in {one} and in {other}; remove "
            "one copy, or give the folder of the other as data folder."
        )
    labels = {name: canonical(name.rpartition("-")[2]) for name in sequences}
    take(source, sequences, dict.fromkeys(sequences, "neutral") if frames == "neutral" else labels, frames)
    return source


def _fullest(folders: dict[str, list[str]]) -> list[str]:
    """Return the folders of one sequence, the fullest first: others may be interrupted copies."""
    return sorted(folders, key=lambda folder: (-len(folders[folder]), folder))


def _rows(source: Source, key: Key, folders: dict[str, list[str]]) -> tuple[str, list[dict[str, Any]]]:
    """Return a sequence's name and a row for each of its frames."""
    _, camera, illumination, subject, expression = key
    folder, name = _fullest(folders)[0], f"{camera}-{illumination}-{subject}-{expression}"
    said = {"subject": subject, "sequence": name, "camera": camera, "illumination": illumination}
    by_number = {FRAME.fullmatch(file)[1]: file for file in sorted(folders[folder])}  # type: ignore[index]
    return name, [
        {"path": source.root / folder / file, "id": f"{name}-{number}", **said, "frame": int(number)}
        for number, file in sorted(by_number.items())
    ]


READER = Reader(
    CARD,
    locate,
    {
        "camera": CAMERAS,
        "illumination": ILLUMINATIONS,
        "frames": ("last10", *(name for name in FRAMES if name != "last10")),
        "tree": TREES,
    },
    is_ours=is_ours,
    printed=PRINTED,
)
