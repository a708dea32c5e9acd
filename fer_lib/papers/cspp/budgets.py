"""What a run of chapter 3 may cost, budget by budget.

``width`` scales every layer; ``decay`` lets the rate fall linearly to zero; ``factor`` is the samples per
training image, itself included; ``folds`` is K in all cross-validations. None is the paper's figure, or this
run's reading of it.
"""

from __future__ import annotations

from typing import Any

BUDGETS: dict[str, dict[str, Any]] = {
    # Narrow networks of tanh start to learn sooner than those of ReLU.
    "smoke": {
        "width": 0.25,
        "epochs": 5,
        "batch_size": 16,
        "lr": 0.02,
        "decay": False,
        "factor": 2,
        "activation": "tanh",
        "folds": 2,
    },
    "full": {
        "width": 1,
        "epochs": 30,
        "batch_size": 16,
        "lr": 0.03,
        "decay": True,
        "factor": 8,
        "activation": None,
        "folds": None,
    },
    "paper": {
        "width": 1,
        "epochs": None,
        "batch_size": None,
        "lr": None,
        "decay": False,
        "factor": None,
        "activation": None,
        "folds": None,
    },
}
