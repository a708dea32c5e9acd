"""Time reading a tree of CK+'s size: 593 drawn sequences, 10,708 PNG files of 640x490 pixels.

Run ``python -m benchmarks.reading``. The tree (about 2.3 GB) is drawn in a temporary folder and removed
afterwards. Every read runs in a process of its own, so that its peak memory is its own: cold with an empty
cache and the files dropped from the system's page cache, then warm from the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from fer_lib.data import datasets, decoding, sources
from fer_lib.data.datasets import synthetic
from fer_lib.faces import FACE
from fer_lib.files import cached_arrays

SEQUENCES, FRAMES, LABELLED = 593, 10_708, 327
PER_CODE = {1: 45, 2: 18, 3: 59, 4: 25, 5: 69, 6: 28, 7: 83}
DRAWINGS = 48  # different images; files are copies of them, each on its own place on the disk
SELECTIONS = {
    "apex, cropped": {"crop": FACE},
    "last 3 of six classes, cropped": {"frames": "last3", "classes": "six", "crop": FACE},
    "last 10, cropped to 112": {"frames": "last10", "size": 112, "crop": FACE},
    "neutral, cropped": {"frames": "neutral", "crop": FACE},
    "all labelled, cropped": {"frames": "all", "crop": FACE},
    "all labelled, whole": {"frames": "all"},
    "every file, fitted into 96x96": None,
}


def drawings() -> list[bytes]:
    """Return PNG files of faces before a wall, with a camera's noise: about 200 kB each, as CK+'s are."""
    faces = synthetic.generate(n_subjects=6, per_expression=1, size=360).images
    rng = np.random.default_rng(0)
    made = []
    for face in faces[:DRAWINGS]:
        frame = np.full((490, 640), 120, np.float32)
        frame[60:420, 140:500] = face
        frame += rng.normal(0, 3.0, frame.shape) + np.linspace(-20, 20, 640)
        made.append(cv2.imencode(".png", np.clip(frame, 0, 255).astype(np.uint8))[1].tobytes())
    return made


def draw(root: Path) -> float:
    """Write the tree and return the mean size of a file in kB."""
    files, rng = drawings(), np.random.default_rng(1)
    lengths = np.full(SEQUENCES, FRAMES // SEQUENCES)
    lengths[: FRAMES % SEQUENCES] += 1
    for _ in range(20_000):  # lengths from 4 frames up, with the same sum
        a, b = rng.integers(0, SEQUENCES, 2)
        if lengths[a] > 4:
            lengths[a] -= 1
            lengths[b] += 1
    codes = [code for code, n in PER_CODE.items() for _ in range(n)]
    for i, length in enumerate(lengths.tolist()):
        name = f"S{5 + i % 118:03}_{1 + i // 118:03}"
        part = f"{name[:4]}/{name[5:]}"
        folder = root / "cohn-kanade-images" / part
        folder.mkdir(parents=True)
        for k in range(1, length + 1):
            (folder / f"{name}_{k:08}.png").write_bytes(files[(i + k) % len(files)])
        if i < LABELLED:
            (root / "Emotion" / part).mkdir(parents=True)
            (root / "Emotion" / part / f"{name}_{length:08}_emotion.txt").write_text(f"   {codes[i]:.7e}\n")
    return sum(map(len, files)) / len(files) / 1000


def forget(root: Path) -> None:
    """Drop the files below ``root`` from the system's page cache."""
    os.sync()
    for path in root.rglob("*.png"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(root: Path, name: str) -> None:
    """Read one selection and print its time, that of all cores together, and the most memory it had."""
    started = time.perf_counter()
    if SELECTIONS[name] is None:
        paths = [root / file for file in sources.walk(root, []) if file.endswith(".png")]
        images = cached_arrays("every", "96", lambda: {"i": decoding.decode_all(paths, name, [], 96)[0]})["i"]
    else:
        images = datasets.load("ckplus", root, strict=False, **SELECTIONS[name]).images
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6
    found = {"images": len(images), "seconds": seconds, "cpu_seconds": cpu, "peak_gb": peak}
    print(json.dumps({name: round(value, 2) for name, value in found.items()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--read", nargs=2, metavar=("ROOT", "SELECTION"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help="where the tree is drawn (default: the system's temporary folder)")
    args = parser.parse_args()
    if args.read:
        read(Path(args.read[0]), args.read[1])
        return
    report = {"cores": os.cpu_count(), "files": FRAMES}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        root = Path(folder) / "ckplus"
        report["kB_per_file"] = round(draw(root))
        environment = os.environ | {"FER_CACHE": f"{folder}/cache"}
        for name in SELECTIONS:
            forget(root)
            report[name] = {}
            for kind in ("cold", "warm"):
                command = [sys.executable, "-m", "benchmarks.reading", "--read", str(root), name]
                out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
                report[name][kind] = json.loads(out.stdout)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
