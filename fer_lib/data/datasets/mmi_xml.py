"""MMI's XML files: emotion, view and the apex of the action units (AU) of a clip.

They are read with defusedxml, document type declarations refused, so no entity is ever expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException, ElementTree

from fer_lib.data.decoding import read_bytes
from fer_lib.errors import FerError

VIEWS = {"0": "frontal", "1": "profile", "2": "both"}
NUMBER = re.compile(r"\s*(\d{1,6})\s*", re.ASCII)
XML_BYTES = 4 << 20  # MMI's files have a few kB; a tree takes far more memory than its text
APEX, OFFSET = 2, 3  # Marker types of an AU file; 0 is neutral, 1 onset
Elements = Iterable[tuple[str, dict[str, str]]]


def elements(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Return (tag, attributes) of an XML file's elements in the order they open.

    Raises
    ------
    FerError
        If the file is no well-formed XML, larger than 4 MiB, or declares a document type (which is
        where entities, and so the attacks that expand them, would be declared).
    OSError
        If it cannot be opened.
    """
    if path.stat().st_size > XML_BYTES:
        raise FerError("is larger than any XML file of MMI; it was not read.")
    try:
        root = ElementTree.fromstring(read_bytes(path), forbid_dtd=True)
    except DefusedXmlException:
        raise FerError(
            "declares a document type or an entity, which MMI's files do not; it was not read."
        ) from None
    except FerError:  # of read_bytes; it is a ValueError too
        raise
    except (ParseError, ValueError, LookupError) as error:  # the latter two: unknown encodings
        raise FerError(f"is no readable XML ({error}); get this file again.") from None
    # A name space, where a copy has one, says nothing here: {...}Metatag is Metatag.
    return [(element.tag.rpartition("}")[2], dict(element.attrib)) for element in root.iter()]


def number(text: str | None) -> int | None:
    """Return a whole number of at most six digits, None for anything else."""
    match = NUMBER.fullmatch(text or "")
    return int(match[1]) if match else None


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
    if not spans:
        return None
    together = {a: [last for first, last in spans if first <= a <= last] for a, _ in spans}
    best = max(together, key=lambda a: (len(together[a]), min(together[a]) - a, -a))
    return best, min(together[best])
