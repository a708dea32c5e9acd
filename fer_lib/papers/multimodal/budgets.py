"""What a run of chapter 2 may cost, budget by budget."""

from __future__ import annotations

from typing import Any

EVERYTHING = {"width": 1.0, "batch": 128, "folds": None, "limit": None}

BUDGETS: dict[str, dict[str, Any]] = {
    # width scales every layer of the paper's network, rivals every layer of the others; folds None is all;
    # limit keeps that many training images of FER2013 and a quarter as many of each other part; stills are
    # the synthetic images of a person's expression; passes and networks are averaged where the paper says
    # ten predictions; features are drawn.
    "smoke": {
        "width": 0.125,
        "rivals": 0.125,
        "epochs": 5,
        "batch": 16,
        "folds": 1,
        "limit": 800,
        "stills": 2,
        "severities": (0.5, 1.0),
        "passes": 3,
        "networks": 2,
        "features": ("fused",),
    },
    "full": EVERYTHING
    | {
        "rivals": 0.5,
        "epochs": 15,
        "severities": (0.5, 1.0),
        "passes": 10,
        "networks": 1,
        "features": ("fused", "image", "landmarks", "hog"),
    },
    "paper": EVERYTHING
    | {
        "rivals": 1.0,
        "epochs": 500,
        "severities": (0.2, 0.4, 0.6, 0.8, 1.0),
        "passes": 10,
        "networks": 10,
        "features": ("fused", "image", "landmarks", "hog"),
    },
    # Readings are compared with this network alone, on images that do not depend on the seed (draw), without
    # the cells tagged beyond.
    "probe": {
        "only": ("OURS",),
        "width": 0.25,
        "rivals": 0.25,
        "epochs": 10,
        "batch": 64,
        "folds": 1,
        "limit": 3000,
        "others": {"public_test": 800, "private_test": 2200},
        "draw": 0,
    },
}
