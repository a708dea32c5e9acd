"""Keep what ten people said of FER2013's test images, for the book's page on it.

Run ``python -m benchmarks.people [--data-dir D]`` where ``fer2013new.csv`` of FER+ (MIT licence) lies beside
``fer2013.csv``. It writes ``results/data/fer2013/people.npz``: ids, labels, parts and votes of the test
images, and no image.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from fer_lib.data import datasets
from fer_lib.data.datasets.ferplus import COLUMNS
from fer_lib.evidence.provenance import repository
from fer_lib.files import atomic
from fer_lib.judge import people


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir")
    corpus = datasets.load("fer2013", parser.parse_args().data_dir, votes=True)
    tested = corpus.select(corpus.split != "train")
    path = people.file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary, temporary.open("wb") as out:
        np.savez_compressed(
            out,
            ids=tested.ids,
            labels=tested.labels.astype(np.uint8),
            classes=np.array(tested.classes),
            parts=tested.split,
            votes=tested.meta[list(COLUMNS)].to_numpy().astype(np.uint8),
            columns=np.array(COLUMNS),
        )
    print(json.dumps({"images": len(tested), "file": path.relative_to(repository()).as_posix()}))


if __name__ == "__main__":
    main()
