"""The one corpus that may be downloaded: CMU Face Images, from the UCI Machine Learning Repository.

The repository publishes no checksum, so what arrives is held against what is known of the corpus itself, its
counts at every scale; the sha256 of the archive is then recorded beside the data, and a later download from
the same address must have the same. Who knows the checksum can demand it.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fer_lib import files
from fer_lib.data import datasets
from fer_lib.data.arrival import archives, unpacking
from fer_lib.data.arrival.importing import arriving, place, recognise
from fer_lib.data.datasets import cmu_faces
from fer_lib.errors import FerError, one_of

URLS = {"cmu_faces": "https://archive.ics.uci.edu/static/public/124/cmu+face+images.zip"}
SHA256: dict[str, str] = {}  # of what lies at these addresses, should their owners come to publish it
RECORD = "download.json"
TIMEOUT = 30  # seconds without an answer
OTHERWISE = "An archive that a browser downloaded serves as well: fer data import cmu_faces ARCHIVE"


@dataclass
class Download:
    """Where an archive came from, what it was, and what it was ``verified`` against."""

    url: str
    sha256: str
    size: int  # bytes
    verified: str = "the corpus's own counts (no sha256 of it is published)"
    fetched: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def fetch(
    name: str,
    data_dir: str | Path | None = None,
    *,
    url: str | None = None,
    sha256: str | None = None,
    replace: bool = False,
) -> tuple[Path, Download]:
    """Download a corpus into ``<data_dir>/<name>/`` and record its source there, in ``download.json``.

    Parameters
    ----------
    name : str
        Only ``cmu_faces``.
    data_dir : path, optional
        The folder that holds corpora; default ``$FER_DATA``, else ``~/fer-data``.
    url : str, optional
        Another address (http or https) of the same archive.
    sha256 : str, optional
        The checksum the archive must have, 64 hexadecimal digits. Without it the one recorded by an earlier
        download from the same address is demanded, and the corpus's own counts must be right.
    replace : bool
        Whether to replace a copy that is there.

    Returns
    -------
    folder : Path
    download : Download

    Raises
    ------
    FerError
        If the corpus may not be downloaded (who grants it), the address cannot be reached or answers with
        something else, or a checksum or count is wrong. The data folder is then as it was before.
    """
    refuse_others(name)
    url, given = _checked(url or URLS[name], sha256)
    target = place(name, data_dir)
    recorded = "" if given else _recorded(target, url)
    with arriving(name, data_dir, replace) as folder:
        archive = _download(url, given or SHA256.get(name, ""), folder.parent / "download")
        found = Download(url, _sha256(archive), archive.stat().st_size)
        if recorded and found.sha256 != recorded:
            raise FerError(
                f"{url} has another sha256 ({found.sha256}) than when it was downloaded before ({recorded}); "
                f"if that is meant, add --sha256 {found.sha256}."
            )
        recognise(name, folder, unpacking.unpack([archive], folder))
        _drop_copies(folder)
        wrong = _wrong_counts(folder)
        if wrong and not given:
            raise FerError(
                f"What {url} sent is not the complete {datasets.CARDS[name].title}: {wrong}. Nothing was "
                f"kept; if it is wanted all the same, add --sha256 {found.sha256}."
            )
        if given or recorded or name in SHA256:
            found.verified = f"the sha256 {'given' if given else 'of before' if recorded else 'published'}"
        files.write_json(folder / RECORD, asdict(found))
    return target, found


def _checked(url: str, sha256: str | None) -> tuple[str, str]:
    """Return the address and the checksum (lower case, empty for none); FerError if they cannot be meant."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError
    except ValueError:
        raise FerError(f"--url {url}: an address begins with https:// or http://.") from None
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise FerError(f"--sha256 {sha256}: a sha256 is 64 hexadecimal digits.")
    return url, (sha256 or "").lower()


def refuse_others(name: str) -> None:
    """Raise a FerError for every corpus that may not be downloaded: who grants it, and what to do then."""
    card = datasets.CARDS[one_of(name, datasets.NAMES, "dataset")]
    if card.synthetic:
        raise FerError(f"{name} is generated and needs no download.")
    if name not in URLS:
        obtain = " ".join(card.obtain.split())
        raise FerError(
            f"{card.title} may not be downloaded by a program ({card.licence}); it is granted by "
            f"{card.owner}. {obtain} Then: fer data import {name} ARCHIVE..."
        )


def _recorded(target: Path, url: str) -> str:
    """Return the sha256 that an earlier download from ``url`` had; empty where there is no record of it."""
    try:
        record = json.loads((target / RECORD).read_text(encoding="utf-8"))
        return str(record["sha256"]) if record["url"] == url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


class _Progress:
    """What pooch calls while it downloads, shown as every other progress is."""

    def __init__(self, bar: archives.Megabytes) -> None:
        self.bar, self.total = bar, 0

    def update(self, count: int) -> None:
        self.bar.total = max(1, self.total // archives.MEGABYTE)
        self.bar.advance(count)

    def reset(self) -> None:
        self.bar.position = 0

    def close(self) -> None:
        pass


def _download(url: str, sha256: str, folder: Path) -> Path:
    """Download ``url`` into ``folder``, verify the ``sha256`` if there is one, and return the archive."""
    import pooch
    import requests

    name = re.sub(r"[^\w.+-]", "_", Path(unquote(urlsplit(url).path)).name) or "archive"
    bar = archives.Megabytes(0, f"downloading {name}")
    # A server might send a tar.gz as a tar that is compressed on its way; the checksum would be another.
    options = {"timeout": TIMEOUT, "headers": {"Accept-Encoding": "identity"}, "chunk_size": 2**16}
    downloader = pooch.HTTPDownloader(progressbar=_Progress(bar), **options)
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        with bar:
            bar.update(0, "asking")
            known = f"sha256:{sha256}" if sha256 else None
            return Path(pooch.retrieve(url, known, name, folder, downloader=downloader))
    except requests.HTTPError as error:
        answer = f"{error.response.status_code} {error.response.reason}"
        raise FerError(f"{url} answered {answer}; is the address right? {OTHERWISE}") from None
    except requests.Timeout:
        raise FerError(f"{url} does not answer ({TIMEOUT} s); try again later. {OTHERWISE}") from None
    except requests.exceptions.ChunkedEncodingError:
        raise FerError(f"{url} stopped before everything had arrived; try again.") from None
    except requests.ConnectionError:
        raise FerError(f"{url} cannot be reached; is there a way to the internet? {OTHERWISE}") from None
    except requests.RequestException as error:
        raise FerError(f"{url} cannot be downloaded: {error}") from None
    except ValueError as error:  # pooch's, with the hashes
        found = re.findall("[0-9a-f]{64}", str(error))
        other = next((value for value in found if value != sha256), "another")
        raise FerError(f"{url} has the sha256 {other}, not {sha256}; nothing was kept.") from None


def _sha256(path: Path) -> str:
    import pooch

    return pooch.file_hash(str(path), alg="sha256")


def _drop_copies(folder: Path) -> None:
    """Remove images that are there a second time, byte for byte: one archive may hold another's extract."""
    first: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and cmu_faces.parse(path.name):
            other = first.setdefault(path.name, path)
            if other != path and other.read_bytes() == path.read_bytes():
                path.unlink()


def _wrong_counts(folder: Path) -> str:
    """Hold the images at every scale against what the corpus is known to have; empty if all is right."""
    wrong = []
    for scale, size in cmu_faces.SCALES.items():
        source = cmu_faces.locate(folder, scale=scale)
        if source is None:
            return f"no image of it was found; expected\n{cmu_faces.CARD.tree}\n"
        wrong += [
            f"{source.facts.get(what, 0):,} {what} images at {size}, not {number:,}"
            for what, number in source.expected.items()
            if source.facts.get(what, 0) != number
        ]
    return "; ".join(wrong)
