"""MMI Facial Expression Database: the labelled clips, of each the frames around its peak.

A clip goes from neutral over the apex back to neutral. Its emotion is in the XML file beside it, its view
in ``session.xml``, and for some clips the onset, apex and offset of every action unit (AU) in a third
file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.datasets.mmi_xml import VIEWS, apex_of, elements, emotion_of, number, view_of
from fer_lib.data.decoding import grey, read_bytes
from fer_lib.data.image_files import read_stills
from fer_lib.data.printed import Printed
from fer_lib.data.sources import Source, drop_repeats, located, shown, walk
from fer_lib.errors import FerError, one_of
from fer_lib.expressions import CODES, EXPRESSIONS

FILE_NAME = re.compile(r"(S\d{3}-\d{3})(-oao_aucs)?\.(avi|mpg|xml)", re.IGNORECASE | re.ASCII)
STILL_NAME = re.compile(r"(S\d{3}-\d{3}).*\.(?:jpe?g|png|bmp)", re.IGNORECASE | re.ASCII)
FRAMES = ("peak2", "apex", "neutral")

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


def is_ours(folder: str, name: str) -> bool:
    """Return whether a file in ``folder`` looks like one of this corpus's."""
    return FILE_NAME.fullmatch(name) is not None


def choose(count: int, frames: str, apex: tuple[int, int] | None) -> tuple[list[int], str]:
    """Return which frames (from 1, in order) of a clip of ``count`` frames to take, and why those.

    The reason is ``first``, ``au`` (from the AU file) or ``middle``, also where an AU file speaks of
    frames that the clip does not have. A clip of one frame gives that frame once.
    """
    if frames == "neutral":
        return [1], "first"
    by_au = apex is not None and apex[1] <= count
    first, last = apex if by_au and apex else (1, count)
    left = (first + last) // 2
    if frames == "apex":
        return [left], "au" if by_au else "middle"
    left = max(1, min(left, count - 1))
    return [left, left + 1][:count], "au" if by_au else "middle"


def clip_frames(
    path: Path, frames: str, apex: tuple[int, int] | None
) -> tuple[list[np.ndarray], list[int], int, str]:
    """Return the grey frames (H, W) to take of a clip, their numbers, how many it has, and why those.

    Raises
    ------
    FerError
        If the clip is a Git LFS pointer, empty, no AVI or MPEG, unreadable or ends before those frames.
    """
    import cv2

    _check_clip(path)
    if shown(path) != str(path):  # OpenCV crashes on such a name
        raise FerError("has a name or folder that is not UTF-8 and cannot be opened; rename it.")
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        count = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if path.suffix.lower() == ".avi" else 0
        if count <= 0:  # an MPEG stream has no index, its length is only estimated
            count = 0
            while video.grab():
                count += 1
            video.open(str(path), cv2.CAP_FFMPEG)
        if count == 0:
            raise FerError("cannot be decoded as a clip; get this file again.")
        numbers, why = choose(count, frames, apex)
        images = []
        for position in range(1, numbers[-1] + 1):  # in order: seeking is not exact in every codec
            if not video.grab():
                raise FerError(f"ends after {position - 1} of its {count} frames; get this file again.")
            if position in numbers:
                images.append(grey(video.retrieve()[1]))
    finally:
        video.release()
    return images, numbers, count, why


def _check_clip(path: Path) -> None:
    """Raise FerError unless the file starts as AVI and MPEG files do."""
    if path.stat().st_size < 200:  # of the size of a Git LFS pointer
        read_bytes(path)
    with path.open("rb") as file:
        head = file.read(12)
    if not (head[:4] == b"RIFF" and head[8:] == b"AVI ") and head[:3] != b"\0\0\1":
        raise FerError("is no AVI or MPEG clip; get this file again.")


def locate(root: Path, *, view: str = "all", frames: str = "peak2") -> Source | None:
    """List the labelled clips below ``root`` and read their XML; None where there is no clip at all."""
    one_of(view, ("all", *VIEWS.values(), "unknown"), "view of mmi")
    one_of(frames, FRAMES, "frames of mmi")
    source = Source(root, "clips", ("neutral",) if frames == "neutral" else EXPRESSIONS[:6])
    source.images_per_row = 2 if frames == "peak2" else 1
    clips, xml, stills = _list_files(root, source)
    if not clips:
        return None
    counts = dict.fromkeys(("unlabelled", "other_emotions", "other_views"), 0)
    for (folder, name), path in sorted(clips.items()):
        label, seen, apex = _metadata(source, folder, name, xml)
        if label is None:
            counts["unlabelled"] += 1
        elif label not in CODES["mmi"]:
            counts["other_emotions"] += 1
        elif view not in ("all", seen):
            counts["other_views"] += 1
        else:
            session = folder.rstrip("/").rpartition("/")[2]
            row = {"path": path, "id": name, "expression": CODES["mmi"][label], "subject": name[:4]}
            row |= {"sequence": name, "session": session if number(session) is not None else ""}
            source.rows.append(row | {"view": seen, "apex": apex, "frames": frames})
    source.rows.sort(key=lambda row: row["id"])
    drop_repeats(source)
    source.files = sorted([row["path"] for row in source.rows] + source.files)
    _report(source, counts, {key for key, _ in xml} | stills, {folder for folder, _ in clips}, len(clips))
    return source


def _list_files(root: Path, source: Source) -> tuple[dict, dict, set[str]]:
    """Return clips {(folder, S001-100): path}, XML {(folder, name): path} and the folders with stills."""
    clips: dict[tuple[str, str], Path] = {}
    xml: dict[tuple[str, str], Path] = {}
    stills = set()
    for file in walk(root, source.problems):
        folder, _, name = file.rpartition("/")
        if name.lower() == "session.xml":
            xml[folder, "session"] = root / file
        elif (match := FILE_NAME.fullmatch(name)) is None:
            stills |= {folder} if STILL_NAME.fullmatch(name) else set()
            source.pass_over(file)
        elif match[3].lower() == "xml":
            xml[folder, match[1].upper() + (match[2] or "").lower()] = root / file
        elif match[2]:
            source.pass_over(file)
        else:
            key = folder, match[1].upper()
            if key not in clips or match[3].lower() == "avi":  # of two containers the one with an index
                clips[key] = root / file
    return clips, xml, stills


def _metadata(
    source: Source, folder: str, name: str, xml: dict
) -> tuple[int | None, str, tuple[int, int] | None]:
    """Return emotion, view and apex of a clip; a file that cannot be read is a problem of the source."""

    def attempt(key: str, use: Any, otherwise: Any) -> Any:
        if (path := xml.get((folder, key))) is None:
            return otherwise
        source.files.append(path)
        try:
            return use(elements(path))
        except (OSError, FerError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            source.problems.append(f"{shown(path)}: {reason}")
            return otherwise

    return (
        attempt(name, emotion_of, None),
        attempt("session", lambda found: view_of(found, name), "unknown"),
        attempt(f"{name}-oao_aucs", apex_of, None),
    )


def _report(
    source: Source, counts: dict[str, int], others: set[str], with_clip: set[str], clips: int
) -> None:
    """Say how many clips were left out and why, and how many sessions have no clip."""
    without = len(others - with_clip)
    au = sum(row["apex"] is not None for row in source.rows)
    source.facts = {"clips": clips, **counts, "sessions_without_clip": without, "with_au_file": au}
    said = {
        "unlabelled": "clips without an emotion were left out.",
        "other_emotions": "clips with an emotion value other than 1 to 6 were left out.",
        "other_views": "clips of another view were left out.",
        "sessions_without_clip": "sessions without a clip (stills or metadata only) were passed over.",
    }
    source.remarks = [f"{source.facts[key]:,} {text}" for key, text in said.items() if source.facts[key]]


def read(
    root: str | Path | Source,
    problems: list[str] | None = None,
    *,
    view: str = "all",
    frames: str = "peak2",
    size: int | tuple[int, int] | None = None,
) -> Corpus:
    """Read MMI's labelled clips from ``root``; only the frames that are asked for are kept.

    Parameters
    ----------
    root, problems
        As in :func:`fer_lib.data.image_files.read_stills`; clips without an emotion, or with
        one beyond the six, are no problems but remarks of the source.
    view : {"all", "frontal", "profile", "both", "unknown"}
        As ``session.xml`` says; ``both`` shows frontal and profile side by side.
    frames : {"peak2", "apex", "neutral"}
        ``peak2``: two adjacent frames in the middle of the apex (paper 3), the apex being where the AU
        file has the most units at theirs, and the middle of the clip without such a file. ``apex``: the
        first of the two. ``neutral``: the first frame, labelled neutral.
    size : int or (height, width), optional
        Size of the images; default the most frequent one.

    Returns
    -------
    Corpus
        Grey frames with ``subjects`` (``S001``), ``sequences`` (``S001-100``) and the columns
        ``session``, ``view``, ``frame`` (from 1), ``frames`` (in the clip) and ``chosen_by`` (``au``,
        ``middle`` or ``first``).

    Raises
    ------
    FerError
        As ``read_stills``, and if nothing is there or an option is unknown.
    """
    source = located(root, CARD, locate, view=view, frames=frames)
    return read_stills(source, CARD, size, problems, _open, "clip")


def _open(clip: dict[str, Any]) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
    """Return the frames to take of a clip and a row for each: the clip's, with the number of the frame."""
    images, numbers, count, why = clip_frames(clip["path"], clip["frames"], clip["apex"])
    said = {key: clip[key] for key in ("expression", "subject", "sequence", "session", "view")}
    if clip["frames"] == "neutral":
        said["expression"] = "neutral"
    return images, [
        {"id": f"{clip['id']}-{n:04}", **said, "frame": n, "frames": count, "chosen_by": why} for n in numbers
    ]
