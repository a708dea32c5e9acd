"""The SIFT words of a face: a small vocabulary of a corpus, and what else falls into a face's words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fer_lib import files
from fer_lib.data.corpus import Corpus
from fer_lib.features.sift import Vocabulary, sift, sift_of, word_patches

WORDS = 64  # paper ``cnn_sift`` has 256 to 1,024, of many more descriptors
PATCHES = 10  # a word that occurs less often among the training faces is not shown


@dataclass(frozen=True, eq=False)
class Words:
    """A vocabulary and, of each frequent word, patches of the training faces (word -> uint8 (P, s, s))."""

    vocabulary: Vocabulary
    patches: dict[int, np.ndarray]

    def of(self, image: np.ndarray, n: int = 3) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Return keypoints (K, 4) of a face uint8 (H, W), their words (K,), and its n commonest words."""
        found = sift(image[None], workers=1)
        words = self.vocabulary.assign(found.values)
        counts = np.bincount(words, minlength=WORDS)
        order = [int(w) for w in np.argsort(-counts, kind="stable") if counts[w] and int(w) in self.patches]
        return found.keypoints, words, order[:n]


def words_of(train: Corpus) -> Words:
    """Return the visual words of framed training faces, from the cache if they were made before."""
    import cv2

    key = files.digest(train.fingerprint, WORDS, PATCHES, cv2.__version__)

    def make() -> dict[str, np.ndarray]:
        descriptors = sift_of(train)
        words = Vocabulary.fit(descriptors, WORDS)
        patches = word_patches(words, descriptors, train.images, WORDS, PATCHES)
        return {"centres": words.centres} | {f"word{name}": cut for name, cut in patches.items()}

    arrays = files.cached_arrays("explore-words", key, make)
    patches = {int(k.removeprefix("word")): cut for k, cut in arrays.items() if k != "centres"}
    return Words(Vocabulary(arrays["centres"]), patches)
