"""What a run of chapter 5 may cost: its networks, epochs and images, by budget."""

from __future__ import annotations

from typing import Any

VARIANTS = ("lambda=0.4", "mask=ones", "alpha=0.2", "alpha=0.4")
STAGES = ("mask_stage=after_pool5", "mask_stage=before_pool4", "mask_stage=no_pool5")
EVERYTHING = {"width": 1.0, "batch": 128, "patience": 20, "folds": None, "limit": None}

BUDGETS: dict[str, dict[str, Any]] = {
    # width scales every layer; the printed schedule has at most 60 epochs; a training ends early once it
    # knows its training images and patience more epochs have brought nothing on validation images; folds None
    # is all; limit keeps that many training images of FER2013 and a quarter as many of the other parts.
    # variants of the method are trained on the first fold; second are the networks of a second protocol, None
    # all.
    # In a minute these networks do not start to learn: more epochs would show no more.
    "smoke": {"width": 0.125, "epochs": 3, "batch": 16, "patience": 0, "folds": 1, "limit": 400}
    | {"variants": (*VARIANTS, *STAGES[:2]), "second": ("Our method",)},
    "full": EVERYTHING | {"epochs": 60, "variants": VARIANTS, "second": None},
    "paper": EVERYTHING | {"epochs": 250, "patience": 0, "variants": (*VARIANTS, *STAGES), "second": None},
    # Readings are compared with these networks alone, on images that do not depend on the seed (draw),
    # without the cells tagged beyond.
    "probe": {"networks": ("Our method",), "width": 0.25, "epochs": 12, "batch": 64, "patience": 0}
    | {"folds": 1, "limit": 4000, "others": {"public_test": 800, "private_test": 2200}, "draw": 0}
    | {"variants": (), "second": ()},
}
