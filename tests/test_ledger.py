"""What the five claims files say, as they stand: claims of order, repeats, names and colours."""

import re
from functools import cache
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest
import yaml

from fer_lib import claims
from fer_lib.claims import PAPERS


@cache
def content(key):
    """Return a paper's file as it stands, before anything is made of it."""
    text = (files(claims) / f"{key}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@pytest.mark.parametrize("key", PAPERS)
def test_claims_of_order_are_complete(key):
    paper = content(key)
    figures = {claim["id"] for claim in paper["claims"]}
    names = [entry["id"] for entry in paper["order"]]
    assert len({*names, *figures}) == len(names) + len(figures)
    for entry in paper["order"]:
        assert entry["id"].startswith(f"{key}-o-")
        assert entry["place"]
        assert entry["says"].endswith(".")
        assert entry["protocol"] in {protocol["id"] for protocol in paper["protocols"]}
        assert entry["role"] in ("method", "ablation", "baseline")
        assert entry["decided_by"] in ("running", "arithmetic", "nothing")
        assert ("why" in entry) == (entry["decided_by"] == "nothing")
        assert bool(claims.load(key).claim(entry["id"]).test) == (entry["decided_by"] != "nothing")
        assert len(entry.get("quote", "").split()) <= 20
        assert entry.get("about") in {None, *figures}
        if entry["id"].endswith("-printed"):
            assert entry["decided_by"] == "arithmetic"


@pytest.mark.parametrize("key", PAPERS)
def test_formulas_name_figures_that_are_printed(key):
    paper = content(key)
    printed = {claim["id"] for claim in paper["claims"] if claim["value"] is not None}
    for entry in paper["order"]:
        if entry["decided_by"] != "arithmetic":
            continue
        folds = entry.get("p_value", {})
        given = [*entry.get("where", {}).values(), *folds.get("better", []), *folds.get("worse", [])]
        assert {name for name in given if isinstance(name, str)} <= printed, entry["id"]
        used = set(re.findall(r"[a-z]\w*", entry.get("formula", ""))) - {"min", "max", "mean"}
        assert used <= set(entry.get("where", {})), entry["id"]
        limits = [name for name in ("at_least", "at_most", "above", "below", "equals") if name in entry]
        assert len(limits) == (0 if folds else 1), entry["id"]


def test_what_is_printed_twice_is_counted_once():
    repeats = {key: {c["id"]: c for c in content(key)["claims"] if c.get("same_as")} for key in PAPERS}
    for key, entries in repeats.items():
        first = {claim["id"]: claim for claim in content(key)["claims"]}
        for entry in entries.values():
            original = first[entry["same_as"]]
            assert not original.get("same_as")
            for part in ("dataset", "metric", "value", "train_dataset"):
                assert original.get(part) == entry.get(part), entry["id"]
    judged = [
        c for entries in repeats.values() for c in entries.values() if c["role"] not in ("data", "quoted")
    ]
    assert len(judged) == 16


def lab(colour, matrix):
    """Return a hexadecimal colour in CIELAB, as it looks through a matrix over linear RGB."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.clip(to_xyz @ np.clip(matrix @ linear, 0, 1) / [0.9505, 1, 1.0888], 0.008856, 1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_papers_are_told_apart_by_name_and_by_colour_whatever_one_sees():
    about = [content(key)["paper"] for key in PAPERS]
    assert len({paper["short_name"] for paper in about}) == len(PAPERS)
    seen = {  # Machado, Oliveira and Fernandes 2009, severity 1
        "all colours": np.eye(3),
        "no red": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
        "no green": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
        "no blue": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
    }
    for matrix in map(np.array, seen.values()):
        looks = [lab(paper["colour"], matrix) for paper in about]
        assert min(np.linalg.norm(one - other) for one, other in combinations(looks, 2)) > 25
