"""What a run of chapter 3 may cost, budget by budget.

``width`` scales every layer; ``decay`` lets the rate fall to zero along half a cosine; ``factor`` is the
samples per training image, itself included; ``folds`` is K in all cross-validations. None is the paper's
value, or this run's reading of it. ``networks`` and ``groupings`` are those trained, where not all are.
"""

from __future__ import annotations

from typing import Any

# Seen on CMU Face Images (117 training images a fold, of 15 people): at a constant rate of 0.02, batches
# of 32, C-SPP at half its width knew 88 % of its training images after 200 visits of each, and its test
# accuracy swung from epoch to epoch. At 0.03, batches of 16, falling to zero, the whole network stays at
# chance for 40 visits of each image and knows 97 % after 160, 99 % after 240, when its loss falls by less
# than 1 % an epoch. Noise is drawn at every visit: 60 epochs of 4 samples are as many as 30 of 8, and
# show more of the end.
FULL: dict[str, Any] = {
    "width": 1,
    "epochs": 60,
    "batch_size": 16,
    "lr": 0.03,
    "decay": True,
    "factor": 4,
    "activation": None,
    "folds": None,
}
BUDGETS: dict[str, dict[str, Any]] = {
    # Narrow networks of tanh start to learn sooner than those of ReLU.
    "smoke": FULL
    | {"width": 0.25, "epochs": 5, "lr": 0.02, "decay": False, "factor": 2, "activation": "tanh", "folds": 2},
    "full": FULL,
    # Readings are compared with this network alone, on folds that do not depend on the seed (draw),
    # without the cells tagged beyond.
    "probe": FULL | {"networks": ("C-SPP",), "groupings": ("subject",), "draw": 0, "width": 0.5},
    "paper": dict.fromkeys(FULL) | {"width": 1, "decay": False},
}
