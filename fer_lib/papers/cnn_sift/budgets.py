"""What a run of chapter 1 may cost, budget by budget.

``width`` scales every layer; ``epochs`` None is the paper's; ``folds`` and ``repeats`` None are all of them;
``rates`` say how the rate falls, see :func:`fer_lib.learn.recipes.falling`; ``limit`` keeps that many
training images of FER2013 and a quarter as many of each test part; so many ``descriptors`` make a vocabulary;
``sizes``, ``draws`` and ``steps``: how much data does SIFT need? ``small`` is what differs on corpora of some
hundred images, ``control`` trains three further CNNs.
"""

from __future__ import annotations

from typing import Any

BUDGETS: dict[str, dict[str, Any]] = {
    "smoke": {"width": 0.1875, "epochs": 5, "lr_times": 2, "batch_size": 16, "folds": 1, "repeats": 1}
    | {"limit": 800, "descriptors": 3_000, "sizes": (70, 280), "draws": 1, "steps": 40},
    # Every image and layer. The rate falls to a hundredth and stays there, so that the end of a curve shows
    # whether a network still learns; at a constant rate the last epoch may be a bad one.
    "full": {"width": 1, "epochs": 30, "rates": {"steady": 0.6, "lowest": 0.01, "level": 0.2}}
    | {"batch_size": 128, "small": {"epochs": 60, "batch_size": 32}}
    | {"folds": None, "repeats": 1, "limit": None, "descriptors": 200_000}
    | {"sizes": (213, 1000), "draws": 1, "steps": 250, "steps_per_image": 0.26},
    # C2 is trained once more, twice as long, to see whether that would change anything.
    "paper": {"width": 1, "epochs": None, "twice": True, "batch_size": 128}
    | {"folds": None, "repeats": None, "limit": None, "descriptors": 200_000, "control": True}
    | {"sizes": (213, 309, 1000, 3000, 10000), "draws": 3, "steps": 1000},
    # Readings are compared with these networks alone, on images that do not depend on the seed (draw),
    # without the cells tagged beyond.
    "probe": {"networks": ("S2",), "width": 0.5, "epochs": 10, "batch_size": 64, "folds": 1, "repeats": 1}
    | {"limit": 3000, "others": {"public_test": 800, "private_test": 2200}, "draw": 0}
    | {"descriptors": 50_000},
}
