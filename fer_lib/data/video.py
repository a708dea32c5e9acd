"""Films: the frames that are taken of each, and the corpus they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.decoding import grey, read_bytes
from fer_lib.data.image_files import read_stills
from fer_lib.data.sources import Source, shown
from fer_lib.errors import FerError

CUT = 0.8  # of the length that a Flash file states, which is its duration; MPEG's is a guess at best
POINTER = 200  # bytes; a Git LFS pointer has fewer, a film more
ACTED = ("last10", "apex", "neutral")  # frames to take of a film that runs from neutral over the apex back


def film_frames(
    path: Path, choose: Callable[[int], Sequence[int]]
) -> tuple[list[np.ndarray], list[int], int]:
    """Return some frames of a film.

    Parameters
    ----------
    path : Path
        An AVI, MPEG, MP4 or Flash file.
    choose : callable
        Takes the number of frames that the film has and returns those to take, from 1 and in order.

    Returns
    -------
    images : list of uint8 (H, W)
        Grey pixels.
    numbers : list of int
        What ``choose`` returned.
    count : int
        How many frames the film has.

    Raises
    ------
    FerError
        If the file is a Git LFS pointer, empty, no film, unreadable or ends before those frames. The message
        lacks the file's name.
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

    The film is taken to be neutral at its start and at the apex in its middle, as it is not annotated.

    Parameters
    ----------
    count : int
    frames : str
        ``apex``: the frame in the middle; ``neutral``: the first; ``last10``: ten frames that are evenly
        spaced from the first to the middle, both included, so that they run from neutral to the apex as
        the sequences of CK+ and Oulu-CASIA do. A film of fewer than 19 frames gives fewer.
    """
    apex = (1 + count) // 2
    if frames == "neutral":
        return [1]
    return [apex] if frames == "apex" else np.unique(np.linspace(1, apex, 10).round().astype(int)).tolist()


def read_acted(
    source: Source, card: Card, size: int | tuple[int, int] | None, problems: list[str] | None, frames: str
) -> Corpus:
    """Read acted films; arguments and errors as those of :func:`fer_lib.data.image_files.read_stills`.

    Returns
    -------
    Corpus
        The frames that :func:`towards_apex` takes, ordered by film, each with its film as sequence and the
        columns of its row, followed by ``frame`` (from 1) and ``frames`` (in the film).
    """

    def load(row: dict[str, Any]) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
        images, numbers, count = film_frames(row["path"], lambda n: towards_apex(n, frames))
        name = row["id"]
        return images, [
            {**row, "id": f"{name}-{n:04}", "sequence": name, "frame": n, "frames": count} for n in numbers
        ]

    return read_stills(source, card, size, problems, load, "film")
