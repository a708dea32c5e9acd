"""Tables of the forensics page, each recomputed from the claims when the book is built."""

from __future__ import annotations

from html import escape

import pandas as pd
from IPython.display import HTML
from markup import Html, Long, Short, cell, facts, table, two_lines
from overview import NAMES

from fer_lib import claims
from fer_lib.judge import forensics, significance

KINDS = {
    "internal": "within the paper",
    "cross_paper": "between papers",
    "plausibility": "possible, unsupported",
    "external": "rests on a look-up",
}
SEVERITIES = ("high", "medium", "low")


def _what(row: pd.Series) -> Html:
    expression = f" of {row['expression']}" if isinstance(row.get("expression"), str) else ""
    where = f"{NAMES[row['paper']]}, {row['dataset']}" + (f", {row['table']}" if "table" in row else "")
    return two_lines(f"{row['model']}{expression}", where, Short)


def _figure(value: float, digits: int = 2, sign: bool = False) -> Html | None:
    return None if pd.isna(value) else Html(f"{value:{'+' if sign else ''}.{digits}f}")


def summary() -> HTML:
    """Show how many figures each check covers and how many of them fail it."""
    found = {
        "Accuracies that are fractions of their test samples": forensics.fractions()["fits"].ne(""),
        "Averages that follow from their class accuracies": forensics.averages()["agrees"].ne(""),
        "Rows of confusion matrices that fit their class": forensics.confusions()["agrees"],
        "Differences that follow from the tables": forensics.differences()["agrees"],
        "Differences that add up among themselves": forensics.chains()["agrees"],
    }
    rows = [
        {"Check": Long(name), "Figures": len(ok), "Agree": int(ok.sum()), "Do not": int((~ok).sum())}
        for name, ok in found.items()
    ]
    return table(rows, ["Figures", "Agree", "Do not"], "Checks")


def fractions() -> HTML:
    """Show the printed accuracies that no number of right answers gives, and count the others."""
    frame = forensics.fractions()
    wrong = frame[frame["fits"] == ""]
    rows = [
        {
            "Figure": _what(row),
            "Printed": _figure(row["printed"]),
            "Answers": row["n"],
            "Nearest possible": _figure(row["nearest"], 3),
        }
        for _, row in wrong.iterrows()
    ]
    shown = table(rows, ["Printed", "Answers", "Nearest possible"], "Accuracies that are no fraction")
    counts = frame.loc[frame["fits"] != "", "fits"].value_counts()
    others = {
        "Fit when rounded": counts.get("rounded", 0),
        "Fit when cut off": counts.get("truncated", 0),
        "Fit as the mean of folds": counts.get("mean of folds", 0),
        "Of these, with class sizes found from the same figures": int(frame["inferred"].sum()),
    }
    return HTML(shown.data + facts(others).data)


def averages() -> HTML:
    """Show every printed average with what its class accuracies give."""
    frame = claims.frame()
    noted = frame["note"].fillna("").str.startswith("called accuracy")  # of what is a class mean, in the text
    text = set(frame.loc[noted, "id"])
    rows = [
        {
            "Figure": _what(row),
            "Called": "accuracy" if row["id"] in text else row["metric"].replace("_", " "),
            "Printed": _figure(row["printed"]),
            "Mean of classes": _figure(row["class_mean"]),
            "By images": _figure(row["weighted"]),
            "It is": row["agrees"] or Html("<strong>neither</strong>"),
        }
        for _, row in forensics.averages().iterrows()
    ]
    return table(rows, ["Printed", "Mean of classes", "By images"], "Averages")


def confusions() -> HTML:
    """Show the rows of the printed confusion matrix beside the classes that they test."""
    rows = [
        {
            "Row": _what(row),
            "Images in the row": row["images"],
            "Images of the class": row["expected"],
            "Recall of the row": _figure(row["recall"]),
            "Printed": _figure(row["printed"]),
            "Agrees": row["agrees"],
        }
        for _, row in forensics.confusions().iterrows()
    ]
    return table(rows, list(rows[0])[1:5], "Rows of the confusion matrix")


def differences() -> HTML:
    """Show every printed difference with what the tables give for it."""
    columns = {
        "From accuracies": "from_accuracies",
        "From class means": "from_class_means",
        "By images": "from_weighted_classes",
    }
    rows = [
        {"Difference": _what(row), "Printed": _figure(row["printed"], 3, sign=True)}
        | {name: _figure(row[column], 2, sign=True) for name, column in columns.items()}
        | {"Agrees": row["agrees"]}
        for _, row in forensics.differences().iterrows()
    ]
    return table(rows, ["Printed", *columns], "Differences")


def chains() -> HTML:
    """Show printed differences beside those that two others imply."""
    rows = [
        {
            "Difference": _what(row),
            "Printed": _figure(row["printed"], 3, sign=True),
            "Implied": _figure(row["implied"], 3, sign=True),
            "Through": row["over"],
            "Agrees": row["agrees"],
        }
        for _, row in forensics.chains().iterrows()
    ]
    return table(rows, ["Printed", "Implied"], "Differences that should add up")


def p_values() -> HTML:
    """Show the printed p-values beside those of several tests on the printed folds."""
    frame = significance.printed()
    rows = [
        {
            "Comparison": two_lines(
                f"{row['better']} over {row['worse']}", f"{row['dataset']}, {row['table']}", Long
            )
        }
        | {"Printed": Html(f"{row['printed']:g}")}
        | {test.replace("_", " ").capitalize(): Html(f"{row[test]:.5f}") for test in significance.TESTS}
        for _, row in frame.iterrows()
    ]
    return table(rows, list(rows[0])[1:], "p-values from printed folds")


def found(paper: str) -> HTML:
    """Show everything found in one paper, gravest first, folded up."""
    entries = sorted(claims.load(paper).inconsistencies, key=lambda e: SEVERITIES.index(e["severity"]))
    rows = [
        {
            "What": two_lines(
                Long(escape(e["what"])), f"{e['severity']}, {KINDS[e['kind']]}; {e['where']}", Long
            ),
            "Evidence": Long(cell(e["evidence"])),
        }
        for e in entries
    ]
    body = table(rows, (), f"Found in {NAMES[paper]}").data
    high = sum(e["severity"] == "high" for e in entries)
    head = f'<span class="name">{NAMES[paper]}</span> {len(entries)} findings, {high} of them grave'
    return HTML(f'<details class="fer-fold"><summary>{head}</summary>{body}</details>')
