"""MMI Facial Expression Database: the labelled clips, of each the frames around its peak.

A clip's emotion is in the XML file beside it, its view in ``session.xml``, and for some clips the onset, apex
and offset of every action unit (AU) in a third file.

The corpus has ``subjects`` (``S001``), ``sequences`` (``S001-100``) and the columns ``session``, ``view``,
``frame`` (from 1), ``frames`` (in the clip) and ``chosen_by`` (``au``, ``middle`` or ``first``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml import DefusedXmlException, ElementTree

from fer_lib.data.corpus import Card
from fer_lib.data.decoding import read_bytes
from fer_lib.data.image_files import read_stills
from fer_lib.data.printed import Printed
from fer_lib.data.reader import Reader
from fer_lib.data.sources import Source, drop_repeats, shown, walk
from fer_lib.data.video import film_frames
from fer_lib.errors import FerError
from fer_lib.expressions import EXPRESSIONS, codes

FILE_NAME = re.compile(r"(S\d{3}-\d{3})(-oao_aucs)?\.(avi|mpg|xml)", re.IGNORECASE | re.ASCII)
CODES = codes("1=anger 2=disgust 3=fear 4=happiness 5=sadness 6=surprise")
FRAMES = ("peak2", "apex", "neutral")
VIEWS = {"0": "frontal", "1": "profile", "2": "both"}
APEX, OFFSET = 2, 3  # Marker types of an AU file; 0 is neutral, 1 onset
LEFT_OUT = {
    "unlabelled": "clips without an emotion were left out.",
    "other_emotions": "clips with an emotion value other than 1 to 6 were left out.",
    "other_views": "clips of another view were left out.",
    "sessions_without_clip": "sessions without a clip (stills or metadata only) were passed over.",
}
Elements = Iterable[tuple[str, dict[str, str]]]

CARD = Card(
    name="mmi",
    title="MMI Facial Expression Database",
    owner="Maja Pantic and others",
    licence="account and signed end-user licence agreement; no redistribution",
    obtain="Apply for an account with the MMI Facial Expression Database and sign its agreement.",
    tree="""\
mmi/
    [mmi-facial-expression-database_download_<date>/]
    Sessions/<n>/S001-100.avi, S001-100.xml, session.xml [, S001-100-oao_aucs.xml]""",
    may_show=False,
    notes=(
        "The emotion is in S001-100.xml (<Metatag Name='Emotion' Value='1'/>): 1 anger, 2 disgust, 3 fear, "
        "4 happiness, 5 sadness, 6 surprise; clips with a larger value or none are counted and left out.",
        "The peak is in the middle of a clip. What a copy holds depends on the download's date; paper 3 used "
        "125 sequences of 21 people.",
        "Views: frontal, profile, or both side by side. Some sessions hold stills only.",
    ),
    place=4,
    codes={"Emotion in the XML": CODES},
)

_GLASSES = (
    "What a copy holds depends on the day of its download, and the paper left out sequences with glasses "
    "without naming them."
)
PRINTED = (
    Printed("cspp-s31-mmi-all", "sequences", None, why=_GLASSES, whole="clips"),
    Printed("cspp-s31-mmi-six", "sequences", None, why=_GLASSES),
    Printed("cspp-s31-mmi-sequences", "sequences", None, why=_GLASSES),
    Printed("cspp-s31-mmi-images", "images", None, why=_GLASSES),
    Printed("cspp-t1-mmi-subjects", "subjects", None, why=_GLASSES),
)


def choose(count: int, frames: str, apex: tuple[int, int] | None) -> tuple[list[int], str]:
    """Return which frames (from 1, in order) of a clip of ``count`` frames to take, and why those.

    The reason is ``first``, ``au`` (from the AU file) or ``middle``, also where an AU file speaks of
    frames that the clip does not have. A clip of one frame gives that frame once.
    """
    if frames == "neutral":
        return [1], "first"
    by_au = apex is not None and apex[1] <= count
    left = sum(apex if by_au else (1, count)) // 2
    if frames == "apex":
        return [left], "au" if by_au else "middle"
    left = max(1, min(left, count - 1))
    return [left, left + 1][:count], "au" if by_au else "middle"


def elements(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Return (tag, attributes) of an XML file's elements in the order they open.

    FerError, without the file's name, for one that is no well-formed XML, or declares a document type, where
    the entities of attacks would be declared.
    """
    text = read_bytes(path)
    try:
        root = ElementTree.fromstring(text, forbid_dtd=True)
    except DefusedXmlException:
        raise FerError("declares a document type, which MMI's files do not; it was not read.") from None
    except (ParseError, ValueError, LookupError) as error:  # the latter two: unknown encodings
        raise FerError(f"is no readable XML ({error}); get this file again.") from None
    # A name space, where a copy has one, says nothing here: {...}Metatag is Metatag.
    return [(element.tag.rpartition("}")[2], dict(element.attrib)) for element in root.iter()]


def number(text: str | None) -> int | None:
    """Return a whole number of at most six digits, None for anything else."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def emotion_of(found: Elements) -> int | None:
    """Return the value of the Metatag named Emotion, None if there is none or it is empty; else FerError."""
    for tag, attributes in found:
        if tag.lower() == "metatag" and attributes.get("Name", "").strip().lower() == "emotion":
            text = attributes.get("Value", "").strip()
            if text and number(text) is None:
                raise FerError(f"its emotion is {text[:20]!r}, expected a whole number.")
            return number(text)
    return None


def view_of(found: Elements, clip: str) -> str:
    """Return the view of the session's track: the one that names ``clip`` if any does, else the first."""
    tracks = [attributes for tag, attributes in found if tag.lower() == "track" and "view" in attributes]
    own = [t for t in tracks if any(clip.lower() in v.lower() for k, v in t.items() if k != "view")]
    return VIEWS.get((own or tracks or [{"view": ""}])[0]["view"].strip(), "unknown")


def apex_of(found: Elements) -> tuple[int, int] | None:
    """Return the first and last frame (from 1) in which the most action units are at their apex.

    An AU is at its apex from a marker of type 2 until the frame before its next marker of type 3; one
    without such an end counts in its first apex frame only. None if no AU has an apex.
    """
    spans: list[tuple[int, int]] = []
    start = None
    for tag, attributes in found:
        if tag.lower() == "actionunit":
            start = None
        elif tag.lower() == "marker":
            frame, kind = number(attributes.get("Frame")), number(attributes.get("Type"))
            if frame and kind == APEX:
                start = frame
                spans.append((start, start))
            elif frame and kind == OFFSET and start is not None:
                spans[-1] = (start, max(start, frame - 1))
                start = None
    together = {a: [last for first, last in spans if first <= a <= last] for a, _ in spans}
    best = max(together, key=lambda a: (len(together[a]), min(together[a]) - a, -a), default=None)
    return None if best is None else (best, min(together[best]))


def locate(root: Path, view: str, frames: str) -> Source | None:
    """List the labelled clips below ``root`` and read their XML; None where there is no clip at all.

    ``view`` is as ``session.xml`` says; ``both`` shows frontal and profile side by side. ``frames`` is
    ``peak2``: two adjacent frames in the middle of the apex (paper 3), the apex being where the AU file has
    the most units at theirs, and the middle of the clip without such a file; ``apex``: the first of the two;
    or ``neutral``: the first frame, labelled neutral.
    """
    source = Source(root, "clips", ("neutral",) if frames == "neutral" else EXPRESSIONS[:6])
    source.images_per_row = 2 if frames == "peak2" else 1
    clips, xml = _list_files(root, source)
    if not clips:
        return None
    counts = dict.fromkeys(LEFT_OUT, 0)
    for (folder, name), path in sorted(clips.items()):
        label = _said(source, xml.get((folder, name)), emotion_of)
        seen = _said(source, xml.get((folder, "session")), partial(view_of, clip=name))
        apex = _said(source, xml.get((folder, f"{name}-oao_aucs")), apex_of)
        if label is None:
            counts["unlabelled"] += 1
        elif str(label) not in CODES:
            counts["other_emotions"] += 1
        elif view not in ("all", seen):
            counts["other_views"] += 1
        else:
            session = folder.rstrip("/").rpartition("/")[2]
            expression = "neutral" if frames == "neutral" else CODES[str(label)]
            row = {"path": path, "id": name, "expression": expression, "subject": name[:4], "sequence": name}
            row |= {"session": session if number(session) is not None else "", "view": seen}
            source.rows.append(row | {"apex": apex, "frames_to_take": frames})
    source.rows.sort(key=lambda row: row["id"])
    drop_repeats(source)
    source.files = sorted([row["path"] for row in source.rows] + source.files)
    counts["sessions_without_clip"] = len({folder for folder, _ in xml} - {folder for folder, _ in clips})
    au = sum(row["apex"] is not None for row in source.rows)
    source.facts = {"clips": len(clips), **counts, "with_au_file": au}
    source.remarks = [f"{counts[key]:,} {text}" for key, text in LEFT_OUT.items() if counts[key]]
    return source


def _said(source: Source, file: Path | None, use: Callable[[Elements], Any]) -> Any:
    """Return what an XML file says; one that is absent, or cannot be read (a problem), says nothing."""
    if file is None:
        return use([])
    source.files.append(file)
    try:
        return use(elements(file))
    except FerError as error:
        source.problems.append(f"{shown(file)}: {error}")
        return use([])


def _list_files(root: Path, source: Source) -> tuple[dict, dict]:
    """Return clips {(folder, S001-100): path} and XML {(folder, name): path}."""
    clips: dict[tuple[str, str], Path] = {}
    xml: dict[tuple[str, str], Path] = {}
    for file in walk(root, source.problems):
        folder, _, name = file.rpartition("/")
        match = FILE_NAME.fullmatch(name)
        if name.lower() == "session.xml":
            xml[folder, "session"] = root / file
        elif match and match[3].lower() == "xml":
            xml[folder, match[1].upper() + (match[2] or "").lower()] = root / file
        elif match and not match[2]:
            key = folder, match[1].upper()
            if key not in clips or match[3].lower() == "avi":  # of two containers the one with an index
                clips[key] = root / file
        else:
            source.pass_over(file)
    return clips, xml


def _open(clip: dict[str, Any]) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
    """Return the frames to take of a clip and a row for each: the clip's, with the number of the frame."""
    choice = partial(choose, frames=clip["frames_to_take"], apex=clip["apex"])
    images, numbers, count = film_frames(clip["path"], lambda count: choice(count)[0])
    why = {"frames": count, "chosen_by": choice(count)[1]}
    return images, [{**clip, "id": f"{clip['id']}-{n:04}", "frame": n, **why} for n in numbers]


READER = Reader(
    CARD,
    locate,
    {"view": ("all", *VIEWS.values(), "unknown"), "frames": FRAMES},
    build=partial(read_stills, load=_open, unit="clip"),
    printed=PRINTED,
)
