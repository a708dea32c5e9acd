"""What a run of the matrix may cost, budget by budget."""

from __future__ import annotations

from typing import Any

BUDGETS: dict[str, dict[str, Any]] = {
    # width scales every layer, and rate every learning rate, as short runs of narrow networks take more; of
    # some networks by widths and rates. Batches are so many times as small as a network's own. All train for
    # these epochs, or more of them where they would show it fewer images than seen. limit keeps that many
    # training images, and half as many for testing where the split is official; folds None is all. drawn
    # makes the synthetic faces, others those of other people; robust and transfer are how many images are
    # disturbed, and taken of each other corpus (None: all).
    "smoke": {
        "width": 0.125,
        "widths": {"C2": 0.25, "S2": 0.25, "Benchmark": 0.25, "C-SPP": 0.25, "3D-CNN": 0.0625},
        "rate": 3,
        "rates": {"Benchmark": 6, "C-SPP": 6, "3D-CNN": 20, "VGG19": 0.3, "LKRNet": 0.3},
        "activation": "tanh",  # of paper 3's networks
        "smaller": 16,
        "epochs": 16,
        "seen": 0,
        "limit": 600,
        "folds": 1,
        "drawn": {"n_subjects": 8, "per_expression": 2, "size": 64, "n_frames": 8},
        "others": {"n_subjects": 3, "per_expression": 1},
        "severities": (1.0,),
        "robust": 28,
        "transfer": 70,
    },
    "full": {
        "width": 1,
        "widths": {},
        "rate": 1,
        "rates": {},
        "activation": "relu",
        "smaller": 1,
        "epochs": 30,
        "seen": 860_000,
        "limit": None,
        "folds": None,
        "drawn": {"n_subjects": 24, "per_expression": 3, "size": 64},
        "others": {"n_subjects": 8},
        "severities": (0.25, 0.5, 0.75, 1.0),
        "robust": None,
        "transfer": None,
    },
}
BUDGETS["paper"] = BUDGETS["full"] | {"epochs": 60, "seen": 1_720_000}
