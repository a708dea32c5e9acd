"""What a run of chapter 2 may cost, budget by budget."""

from __future__ import annotations

from typing import Any

RIVALS = ("VGG", "ResNet", "Pramerdorfer", "Agrawal")
LEFT_OUT = ("OURS without CBAM", "image without CBAM", "image+landmarks", "image+HOG", "landmarks+HOG")
FEATURES = ("fused", "image", "landmarks", "hog")

BUDGETS: dict[str, dict[str, Any]] = {
    # width scales every layer of the paper's network, and rivals those of each other network; without are
    # parts of the paper's network that are not trained; folds None is all; limit keeps that many training
    # images of FER2013 and a quarter as many of each other part; stills are the synthetic images of each
    # expression of a person; passes and seeds are averaged where the paper says ten predictions; features
    # are drawn.
    "smoke": {"width": 0.125, "rivals": dict.fromkeys(RIVALS, 0.125)}
    | {"without": ("VGG, own recipe", "ResNet, own recipe")}
    | {"epochs": 5, "batch": 16, "folds": 1, "limit": 800, "stills": 2}
    | {"severities": (0.5, 1.0), "passes": 3, "seeds": 2, "features": ("fused",)},
    # Every face that dlib finds: 21,781 training images of FER2013. The rate falls for 48 epochs and is level
    # for twelve: over 15, the network knew 71 % of its training images when the rate had fallen. The networks
    # left out would double the time: one with the image and one other input, or without attention, costs as
    # much as the whole.
    "full": {"width": 1.0, "rivals": {"VGG": 0.5, "ResNet": 0.5, "Pramerdorfer": 1.0, "Agrawal": 1.0}}
    | {"without": LEFT_OUT, "epochs": 60, "batch": 128, "folds": None, "limit": None}
    | {"severities": (0.5, 1.0), "passes": 10, "seeds": 1, "features": FEATURES},
    "paper": {"width": 1.0, "rivals": dict.fromkeys(RIVALS, 1.0)}
    | {"epochs": 500, "batch": 128, "folds": None, "limit": None}
    | {"severities": (0.2, 0.4, 0.6, 0.8, 1.0), "passes": 10, "seeds": 10, "features": FEATURES},
    # Readings are compared with this network alone, on images that do not depend on the seed (draw), without
    # the cells tagged beyond.
    "probe": {"only": ("OURS",), "width": 0.25, "rivals": {}, "epochs": 10, "batch": 64, "folds": 1}
    | {"limit": 3000, "others": {"public_test": 800, "private_test": 2200}, "draw": 0},
}
