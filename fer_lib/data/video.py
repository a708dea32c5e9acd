"""Films: the frames that are taken of each, and the corpus they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib.data.decoding import grey, read_bytes
from fer_lib.data.image_files import read_stills
from fer_lib.data.sources import Source, shown, use
from fer_lib.errors import FerError

CUT = 0.8  # of the length that a Flash file states, which is its duration; MPEG's is a guess at best
POINTER = 200  # bytes; a Git LFS pointer has fewer, a film more
ACTED = ("apex", "last10", "neutral")  # frames to take of a film that runs from neutral over the apex back


def film_frames(
    path: Path, choose: Callable[[int], Sequence[int]]
) -> tuple[list[np.ndarray], list[int], int]:
    """Return some frames of an AVI, MPEG, MP4 or Flash film.

    ``choose`` takes the number of frames that the film has and returns those to take, from 1 and in order.

    Returned are grey images, uint8 (H, W), those numbers, and how many frames the film has. FerError, without
    the file's name, if it is a Git LFS pointer, empty, no film, unreadable or ends before those frames.
    """
    import cv2

    if path.stat().st_size < POINTER:
        read_bytes(path)
    with path.open("rb") as file:
        head = file.read(12)
    avi, mp4 = head[:4] == b"RIFF" and head[8:] == b"AVI ", head[4:8] == b"ftyp"
    if not (avi or mp4 or head[:3] in (b"\0\0\1", b"FLV")):
        raise FerError("is no AVI, MPEG, MP4 or Flash film; get this file again.")
    if shown(path) != str(path):  # OpenCV crashes on such a name
        raise FerError("has a name or folder that is not UTF-8 and cannot be opened; rename it.")
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        stated = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        count = max(stated, 0) if avi or mp4 else 0
        if not count:
            while video.grab():
                count += 1
            video.open(str(path), cv2.CAP_FFMPEG)
        if not count:
            raise FerError("cannot be decoded as a film; get this file again.")
        if head[:3] == b"FLV" and count < CUT * stated:
            raise FerError(f"ends after {count} of its about {stated} frames; get this file again.")
        numbers = list(choose(count))
        images = []
        for position in range(1, numbers[-1] + 1):  # in order: seeking is not exact in every codec
            if not video.grab():
                raise FerError(f"ends after {position - 1} of its {count} frames; get this file again.")
            if position in numbers:
                images.append(grey(video.retrieve()[1]))
    finally:
        video.release()
    return images, numbers, count


def towards_apex(count: int, frames: str) -> list[int]:
    """Return which frames (from 1) of an acted film of ``count`` frames to take.

    The film is not annotated and taken to be neutral at its start and at the apex in its middle. ``frames``
    is ``apex``: the frame in the middle; ``neutral``: the first; or ``last10``: ten frames, evenly spaced
    from the first to the middle, that run from neutral to the apex as the sequences of CK+ and Oulu-CASIA
    do. A film of fewer than 19 frames gives fewer.
    """
    apex = (1 + count) // 2
    if frames == "neutral":
        return [1]
    return [apex] if frames == "apex" else np.unique(np.linspace(1, apex, 10).round().astype(int)).tolist()


def _acted_frames(film: dict[str, Any]) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
    """Return the frames that :func:`towards_apex` takes of an acted film, and a row for each."""
    which, name = film["frames_to_take"], film["id"]
    images, numbers, count = film_frames(film["path"], lambda n: towards_apex(n, which))
    return images, [
        {**film, "id": f"{name}-{n:04}", "sequence": name, "frame": n, "frames": count} for n in numbers
    ]


read_acted = partial(read_stills, load=_acted_frames, unit="film")


def one_form(films: Iterable[dict[str, Any]], form: str, best: str) -> list[dict[str, Any]]:
    """Return the rows of films by id, those in the ``best`` form where a film lies there in several.

    ``form`` is the column that tells the form; it is left out.
    """
    rows = sorted(films, key=lambda row: row["id"])
    known = {row["id"] for row in rows if row[form] == best}
    return [row for row in rows if row.pop(form) == best or row["id"] not in known]


def take_acted(source: Source, films: Iterable[dict[str, Any]], which: str) -> None:
    """Make the frames ``which`` of ACTED, of films the source's rows and files."""
    label = {"expression": "neutral"} if which == "neutral" else {}
    use(source, ({**row, "frames_to_take": which, **label} for row in films))
