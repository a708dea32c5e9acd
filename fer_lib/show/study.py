"""The names by which notebooks that are not yet a :class:`fer_lib.show.chapter.Chapter` find its parts."""

from fer_lib.data.protocols import GROUPINGS, SIX, cross_validation, limited, with_validation
from fer_lib.show.chapter import (
    arithmetic,
    audit_table,
    beside_claims,
    certify,
    doubts,
    ledger,
    readings,
    register,
    settings,
)
from fer_lib.show.results import Results, feature_maps

__all__ = [
    "GROUPINGS",
    "SIX",
    "Results",
    "arithmetic",
    "audit_table",
    "beside_claims",
    "certify",
    "cross_validation",
    "doubts",
    "feature_maps",
    "ledger",
    "limited",
    "readings",
    "register",
    "settings",
    "with_validation",
]
