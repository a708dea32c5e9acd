"""The scorecard in a browser: filters, sorting, the count, links to a view, the csv; and without scripts."""

import csv
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from fer_lib import claims
from fer_lib.judge import report

SHOWN = "#score-table tbody tr:not([hidden])"
FIRST = 40
ALL = (*report.ROLES, "quoted")


@pytest.fixture(scope="module")
def scorecard(book):
    """The address of the page."""
    return (book / "book/scorecard.html").as_uri()


def opened(browser, address, **options):
    """Open an address."""
    page = browser.new_page(**options)
    page.set_default_timeout(120_000)  # also on a machine that does much else
    page.goto(address)
    return page


@pytest.fixture(scope="module")
def page(browser, scorecard):
    """One page for all tests that start from :func:`fresh`."""
    page = opened(browser, scorecard, viewport={"width": 1440, "height": 900})
    page.wait_for_selector("#score-filters:not([hidden])")
    yield page
    page.close()


@pytest.fixture
def fresh(page):
    """The page with nothing chosen and in the papers' order."""
    page.click("#score-filters button[type=reset]")
    page.wait_for_function(
        "document.querySelector('#score-count').textContent.startsWith('" + total(page) + "')"
    )
    sorted_by = page.locator("#score-table [aria-sort]")
    while sorted_by.count():
        sorted_by.locator("button").click()
    return page


def total(page) -> str:
    return str(page.locator("#score-table tbody tr").count())


def column(page, name: str) -> list[str]:
    """Return the sort keys of a column, of the rows that a filter leaves."""
    return page.eval_on_selector_all(
        f"{SHOWN} [data-head='{name}']", "cells => cells.map(cell => cell.dataset.key)"
    )


def test_every_claim_has_a_row_and_the_first_are_shown(fresh):
    ids = fresh.eval_on_selector_all("#score-table tbody tr", "rows => rows.map(row => row.id)")
    papers = [claims.load(paper) for paper in claims.PAPERS]
    expected = [claim for paper in papers for claim in (*paper.claims, *paper.order)]
    assert {f"claim-{claim.id}" for claim in expected if claim.role in ALL} == set(ids)
    assert fresh.locator("#score-table tbody tr").locator("visible=true").count() == FIRST
    fresh.click("#score-more")
    assert fresh.locator("#score-table tbody tr").locator("visible=true").count() == len(ids)
    assert not fresh.is_visible("#score-more")


def test_filters_combine_and_are_counted(fresh):
    fresh.select_option("select[name=paper]", "3D-CNN")
    fresh.select_option("select[name=kind]", "p-value")
    frame = claims.frame("cnn3d").query("metric == 'p_value'")
    assert fresh.locator(SHOWN).count() == len(frame)
    assert fresh.inner_text("#score-count") == f"{len(frame)} of {total(fresh)} rows"
    fresh.select_option("select[name=dataset]", "CK+")
    assert fresh.locator(SHOWN).count() == (frame["dataset"] == "CK+").sum()
    fresh.select_option("select[name=dataset]", "JAFFE")
    assert fresh.inner_text("#score-count") == f"0 of {total(fresh)} rows"


@pytest.mark.parametrize("name", ["dataset", "verdict", "figure"])
def test_each_filter_leaves_what_it_says(fresh, name):
    values = fresh.eval_on_selector_all(
        f"select[name={name}] option", "options => options.map(option => option.value).filter(Boolean)"
    )
    counts = 0
    for value in values:
        fresh.select_option(f"select[name={name}]", value)
        left = fresh.eval_on_selector_all(SHOWN, f"rows => rows.map(row => row.dataset['{name}'])")
        assert set(left) == {value}
        counts += len(left)
    assert str(counts) == total(fresh)


def test_text_finds_all_of_its_words_in_any_order(fresh):
    fresh.fill("input[name=text]", "surprise  Table vgg")
    rows = fresh.eval_on_selector_all(SHOWN, "rows => rows.map(row => row.textContent.toLowerCase())")
    assert 0 < len(rows) < int(total(fresh))
    assert all("surprise" in row and "vgg" in row and "table" in row for row in rows)


def test_sorting_by_figures_up_down_and_back(fresh):
    before = column(fresh, "Claimed")
    head = fresh.locator("#score-table thead th", has_text="Claimed")
    for way, sign in (("ascending", 1), ("descending", -1)):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == way
        values = [float(value) for value in column(fresh, "Claimed") if value]
        assert values == sorted(values, key=lambda value: sign * value)
        # Claims without a figure come last either way.
        assert not any(column(fresh, "Claimed")[len(values) :])
    head.locator("button").click()
    assert head.get_attribute("aria-sort") is None
    assert column(fresh, "Claimed") == before


def test_one_column_at_a_time_is_sorted_and_the_keyboard_does_it(fresh):
    fresh.locator("#score-table thead th", has_text="Verdict").locator("button").focus()
    fresh.keyboard.press("Enter")
    verdicts = column(fresh, "Verdict")
    assert verdicts == sorted(verdicts)
    fresh.keyboard.press("Tab")  # on to the next head
    fresh.keyboard.press("Space")
    marked = fresh.locator("#score-table [aria-sort]")
    assert marked.count() == 1
    assert "Protocol" in marked.inner_text()


def test_a_link_opens_a_view_and_a_claim_is_found_by_its_name(browser, scorecard):
    page = opened(browser, scorecard + "?paper=C-SPP&dataset=CK%2B")
    page.wait_for_selector("#score-filters:not([hidden])")
    paper = claims.load("cspp")
    here = [claim for claim in (*paper.claims, *paper.order) if claim.dataset == "CK+" and claim.role in ALL]
    assert page.locator(SHOWN).count() == len(here)
    page.goto("about:blank")
    page.goto(scorecard + "#claim-lkrnet-s434-ck-ours-vs-vgg19")
    page.wait_for_selector("#score-filters:not([hidden])")
    assert page.locator("#claim-lkrnet-s434-ck-ours-vs-vgg19").is_visible()
    page.close()


def test_the_front_page_links_views_that_are_not_empty(browser, book, fresh):
    page = opened(browser, (book / "book/intro.html").as_uri())
    links = page.eval_on_selector_all("a[href*='scorecard.html?']", "links => links.map(link => link.href)")
    page.close()
    assert len(links) >= len(claims.PAPERS)
    for link in links:
        for name, value in parse_qsl(urlsplit(link).query):
            fresh.select_option(f"select[name={name}]", value)
        assert fresh.locator(SHOWN).count() > 0, link


def test_the_csv_has_every_row_and_column(page):
    link = page.eval_on_selector("a.fer-download", "link => link.href")
    assert urlsplit(link).scheme == "file"
    with Path(unquote(urlsplit(link).path)).open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert tuple(rows[0]) == report.COLUMNS
    ids = page.eval_on_selector_all("#score-table tbody tr", "rows => rows.map(row => row.id)")
    assert sorted(f"claim-{row['id']}" for row in rows) == sorted(ids)


def test_rows_say_how_far_a_claim_is_answered(page):
    cells = page.eval_on_selector_all(
        "#score-table tbody tr",
        "rows => rows.map(row => [row.dataset.verdict, row.dataset.figure, row.cells[2].dataset.key,"
        " row.cells[6].textContent])",
    )
    for verdict, figure, ours, run in cells:
        if verdict == "needs data":
            assert "fer run " in run
        if figure == "quoted":
            assert ours == ""
            assert run == "–"
        if ours:
            assert run.strip()


def test_without_scripts_the_whole_table_is_there(browser, scorecard):
    context = browser.new_context(java_script_enabled=False)
    page = opened(context, scorecard)
    assert page.locator("#score-table tbody tr").locator("visible=true").count() == int(total(page))
    assert not page.is_visible("#score-filters")
    context.close()


def test_a_narrow_screen_shows_cards_without_scrolling_sideways(browser, scorecard):
    page = opened(browser, scorecard, viewport={"width": 390, "height": 844})
    page.wait_for_selector("#score-filters:not([hidden])")
    box = page.locator("#score-table").evaluate(
        "table => [table.parentElement.scrollWidth, table.parentElement.clientWidth]"
    )
    assert box[0] <= box[1]
    first = page.locator(SHOWN).first
    assert first.get_attribute("role") == "row"
    assert first.locator("td").first.evaluate("td => getComputedStyle(td).display") == "grid"
    page.close()
