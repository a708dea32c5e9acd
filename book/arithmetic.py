"""Tables of the forensics page, each recomputed from the claims when the book is built."""

from __future__ import annotations

import pandas as pd
from about_runs import NAMES, gravest_first
from IPython.display import HTML
from markup import Html, Long, Short, cell, folded, number, table, with_note

from fer_lib import claims
from fer_lib.judge import forensics, significance
from fer_lib.show.pages import called

KINDS = {
    "internal": "within the paper",
    "cross_paper": "between papers",
    "plausibility": "possible, unsupported",
    "external": "rests on a look-up",
}


def _what(row: pd.Series) -> Html:
    expression = f" of {row['expression']}" if isinstance(row.get("expression"), str) else ""
    where = f"{NAMES[row['paper']]}, {row['dataset']}" + (f", {row['table']}" if "table" in row else "")
    return with_note(f"{called(row['model'])}{expression}", where, Short)


def summary() -> HTML:
    """Show how many printed numbers each check covers and how many of them fail it."""
    found = {
        "Accuracies that are fractions of their test samples": forensics.fractions()["fits"].ne(""),
        "Averages that follow from their class accuracies": _averages()["agrees"].ne(""),
        "Rows of confusion matrices that fit their class": forensics.confusions()["agrees"],
        "Differences that follow from the tables": forensics.differences()["agrees"],
        "Differences that add up among themselves": forensics.chains()["agrees"],
    }
    rows = [
        {"Check": Long(name), "Checked": len(ok), "Agree": int(ok.sum()), "Do not": int((~ok).sum())}
        for name, ok in found.items()
    ]
    return table(rows, label="Checks")


def fractions() -> HTML:
    """Show the printed accuracies that no number of right answers gives, and count the others."""
    frame = forensics.fractions()
    rows = [
        {"Claim": _what(row), "Printed (%)": number(row["printed"]), "Answers": row["n"]}
        | {"Nearest possible (%)": number(row["nearest"], 4)}
        for _, row in frame[frame["fits"] == ""].iterrows()
    ]
    ways = {"rounded": "when rounded", "truncated": "when cut off", "mean of folds": "as a mean of folds"}
    others = frame[frame["fits"] != ""]
    counted = ", ".join(f"{(others['fits'] == way).sum()} {how}" for way, how in ways.items())
    said = (
        f"<p>The other {len(others)} are possible: {counted}. For {others['inferred'].sum()} of them this "
        "says little: the paper does not print how many images the class has, and the number was found from "
        "these same accuracies.</p>"
    )
    return HTML(table(rows, label="Accuracies that are no fraction").data + said)


def _averages() -> pd.DataFrame:
    """Return the printed averages with what each is ``called``; one that is printed again counts once."""
    frame = forensics.averages()
    notes = claims.frame().set_index("id")["note"].fillna("")[frame["id"]]
    plain = notes.str.startswith("called accuracy").to_numpy()
    frame["called"] = frame["metric"].str.replace("_", " ").mask(plain, "accuracy")
    return frame.drop_duplicates(["paper", "model", "dataset", "called", "printed"])


def averages() -> HTML:
    """Show every printed average with what its class accuracies give."""
    rows = [
        {
            "Claim": _what(row),
            "Called": row["called"],
            "Printed (%)": number(row["printed"]),
            "Mean of classes": number(row["class_mean"]),
            "By images": number(row["weighted"]),
            "It is": row["agrees"] or Html("<strong>neither</strong>"),
        }
        for _, row in _averages().iterrows()
    ]
    right = ["Printed (%)", "Mean of classes", "By images"]
    odd = [row for row in rows if isinstance(row["It is"], Html)]
    agree = [row for row in rows if row not in odd]
    shown = folded(f"{len(agree)} averages that follow", table(agree, right, "Averages that follow").data)
    return HTML(table(odd, right, "Averages that do not follow").data + shown)


def confusions() -> HTML:
    """Show the rows of the printed confusion matrix beside the classes that they test."""
    rows = [
        {
            "Row": _what(row),
            "Images in the row": row["images"],
            "Images of the class": row["expected"],
            "Recall of the row (%)": number(row["recall"]),
            "Printed (%)": number(row["printed"]),
            "Agrees": row["agrees"],
        }
        for _, row in forensics.confusions().iterrows()
    ]
    return table(rows, list(rows[0])[1:5], "Rows of the confusion matrix")


def differences(paper: str | None = None) -> HTML:
    """Show the printed differences of all papers, or of one, with what the tables give, in points."""
    columns = {
        "From accuracies": "from_accuracies",
        "From class means": "from_class_means",
        "By images": "from_weighted_classes",
    }
    frame = forensics.differences(paper)
    columns = {name: column for name, column in columns.items() if frame[column].notna().any()}
    rows = [
        {"Difference (points)": _what(row), "Printed": number(row["printed"], 3, "+")}
        | {name: number(row[column], sign="+") for name, column in columns.items()}
        | {"Agrees": row["agrees"]}
        for _, row in frame.iterrows()
    ]
    return table(rows, ["Printed", *columns], "Differences")


def chains(paper: str | None = None) -> HTML:
    """Show printed differences and those that two others imply, in points."""
    rows = [
        {"Difference (points)": _what(row), "Printed": number(row["printed"], 3, "+")}
        | {"Implied": number(row["implied"], 3, "+"), "Through": row["over"], "Agrees": row["agrees"]}
        for _, row in forensics.chains(paper).iterrows()
    ]
    return table(rows, ["Printed", "Implied"], "Differences that should add up")


def p_values() -> HTML:
    """Show the printed p-values beside those of several tests on the printed folds."""

    def shown(value: float) -> Html:
        return Html(f"{value:.5f}" + " (not significant)" * (value >= significance.LEVEL))

    rows = []
    for _, row in significance.printed().iterrows():
        name = f"{row['better']} against {row['worse']}"
        tests = {test.capitalize(): shown(row[key]) for key, test in significance.TESTS.items()}
        compared = with_note(name, f"{row['dataset']}, {row['table']}", Long)
        rows.append({"Comparison": compared, "Printed": number(row["printed"], 5)} | tests)
    return table(rows, label="p-values from the printed folds")


def tests_say() -> HTML:
    """Say which test comes closest to the printed p-values, and what other tests make of them."""
    frame = significance.printed()
    names = frame["better"] + " against " + frame["worse"] + " on " + frame["dataset"]
    closest = frame[list(significance.TESTS)].sub(frame["printed"], axis=0).abs().idxmin(axis=1)
    closest, hits = closest.mode()[0], closest.value_counts().max()
    as_printed = frame[closest].round(5).eq(frame["printed"])

    p_values = (frame["two_sided"], frame["corrected"], frame["corrected"] / 2)
    two, both, one = (", ".join(names[p >= significance.LEVEL]) or "none of them" for p in p_values)
    return HTML(
        f"<p>Of {len(significance.TESTS)} tests on the folds that the paper prints, one comes closest to "
        f"{hits} of its {len(frame)} p-values: {significance.TESTS[closest]}. To the last digit it gives "
        f"{as_printed.sum()}. Not significant if asked in both directions: {two}. The corrected "
        "resampled t-test (Nadeau and Bengio) allows for the training data that folds share. Not significant "
        f"by it in both directions: {both}; in one direction: {one}.</p>"
    )


def found(paper: str) -> HTML:
    """Show everything found in one paper, gravest first, folded up."""
    entries = gravest_first(paper)
    rows = [
        {
            "What": with_note(e["what"], f"{e['severity']}, {KINDS[e['kind']]}; {e['where']}", Long),
            "Evidence": Long(cell(e["evidence"])),
        }
        for e in entries
    ]
    high = sum(e["severity"] == "high" for e in entries)
    head = f'<span class="name">{NAMES[paper]}</span> {len(entries)} findings, {high} of high severity'
    return HTML(folded(head, table(rows, (), f"Found in {NAMES[paper]}").data))
