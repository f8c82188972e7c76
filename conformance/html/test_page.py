"""The page in a browser: it shows what the reports say, to everyone, and without a mistake."""

import collections
import copy
import json
import os
import pathlib
import re
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from conformance import page as pages
from conformance.reports import load
from conformance.tables import SEVERITIES

REPORTS = pathlib.Path(os.environ["KERAS_NORMS_REPORTS"])
BADGES = [json.loads((REPORTS / f"badge{name}.json").read_text()) for name in ("", "-gpu")]
# Of a colour of text and the one behind it: WCAG 2.2, success criterion 1.4.3.
LEAST_CONTRAST = 4.5


def reports(suffix=""):
    """The reports of all backends, and for JAX one that seems to be of an older Keras."""
    found = load(REPORTS, ("tensorflow", "torch", "jax"), "cpu", suffix)
    older = copy.deepcopy(found["jax"])
    older["versions"]["keras"] = "3.0.0"
    older["cases"][0] |= {"status": "failed", "severity": "wrong", "message": "of an older Keras"}
    return found | {"jax, Keras 3.0": older}


OURS, KERAS = reports(), reports("-keras")
COLUMNS = OURS | {f"Keras' own, {name}": report for name, report in KERAS.items()}
NEWEST = {name: r for name, r in COLUMNS.items() if r["versions"]["keras"] != "3.0.0"}


@pytest.fixture(scope="session")
def path(tmp_path_factory):
    """The page, as a file."""
    path = tmp_path_factory.mktemp("page") / "matrix.html"
    path.write_text(pages.page(OURS, KERAS, BADGES), "utf-8")
    return path


@pytest.fixture(scope="session")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    assert found, f"The tests need one of {', '.join(names)} on the path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, path):
    """A function that opens the page; at the end, nothing may have gone wrong on it."""
    problems, opened = [], []

    def is_foreign(url):
        return not url.startswith((path.as_uri(), "data:"))

    def open_one(width=1400, scheme="light", address=""):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: is_foreign(request.url) and problems.append(request.url))
        page.goto(path.as_uri() + address)
        page.wait_for_selector("tbody")
        opened.append(page)
        return page

    yield open_one
    for page in opened:
        page.close()
    assert problems == []


def told(cases):
    """What a cell says of cases: the lines of its text."""
    ran = [case for case in cases if case["status"] != "not applicable"]
    if not ran:
        return ["-"]
    statuses = collections.Counter(case["status"] for case in ran)
    severities = collections.Counter(case["severity"] for case in ran)
    is_good = statuses["passed"] == len(ran)
    sign = "✓" if is_good else "✗" if severities["wrong"] else "≈"
    notes = [(severities[name], name) for name in SEVERITIES]
    notes.append((statuses["expected failure"], "expected"))
    return [f"{sign} {statuses['passed']} of {len(ran)}"] + [
        f"{n} {name}" for n, name in notes if n
    ]


def shown(page):
    """The lines of each cell, by the class and the requirement (or "") of its row."""
    rows = page.evaluate(
        """() => [...document.querySelectorAll("tbody tr")].map((row) => [
          row.closest("tbody").querySelector("tr.class th").textContent,
          row.matches(".class") ? "" : row.querySelector("th .note").textContent,
          [...row.querySelectorAll("td span:first-child:not(.note)")].map((cell) => [
            cell.firstChild.textContent,
            ...[...cell.querySelectorAll(".note")].map((note) => note.textContent)])])"""
    )
    return {(name, requirement): cells for name, requirement, cells in rows}


def expected_rows(columns, keeps=lambda case: True):
    """The same from the reports: of the cases that are kept in one of the columns."""
    kept = {case["id"] for r in columns.values() for case in r["cases"] if keeps(case)}
    rows = {}
    for report in columns.values():
        found = collections.defaultdict(list)
        for case in report["cases"]:
            if case["id"] in kept:
                found[case["target"], ""].append(case)
                found[case["target"], case["requirement"]].append(case)
        for row, cases in found.items():
            rows.setdefault(row, []).append(told(cases))
    return rows


def in_order(page, columns):
    """The columns in the order of the page."""
    names = page.locator("thead th").evaluate_all(
        "all => all.map((th) => th.firstChild.textContent)"
    )
    assert set(names[1:]) == set(columns)
    return {name: columns[name] for name in names[1:]}


def choose(page, name, value):
    page.locator(f"select[name={name}]").select_option(value)


def test_every_cell_says_what_the_reports_say(open_page):
    page = open_page()
    choose(page, "keras", "")
    page.get_by_label("Search").fill("KN-")  # which opens every class
    assert shown(page) == expected_rows(in_order(page, COLUMNS))


def test_the_page_opens_with_the_newest_keras_and_closed_classes(open_page):
    page = open_page()
    columns = in_order(page, NEWEST)
    classes = {row: cells for row, cells in expected_rows(columns).items() if not row[1]}
    assert shown(page) == classes
    page.locator("tr.class th button").first.click()
    first = min(classes, key=lambda row: row[0].lower())[0]
    wanted = {row for row in expected_rows(columns) if row[0] == first}
    assert {row for row in shown(page) if row[0] == first} == wanted


@pytest.mark.parametrize("result", ["passed", "that fail", *SEVERITIES, "expected failure"])
def test_the_results_can_be_chosen(open_page, result):
    page = open_page()
    choose(page, "result", result)

    def keeps(case):
        if result == "that fail":
            return case["status"] == "failed"
        return result in (case["status"], case["severity"])

    rows = expected_rows(in_order(page, NEWEST), keeps)
    assert shown(page) == rows
    cases = {case["id"] for r in NEWEST.values() for case in r["cases"] if keeps(case)}
    expect(page.locator("#count")).to_contain_text(f"{len(cases)} cases of")


@pytest.mark.parametrize(
    ("name", "value"),
    [("backend", "torch"), ("package", "Keras"), ("package", "keras_norms")]
    + [
        ("keras", version) for version in sorted({r["versions"]["keras"] for r in COLUMNS.values()})
    ],
)
def test_columns_can_be_chosen(open_page, name, value):
    page = open_page()
    choose(page, "keras", "")
    choose(page, name, value)

    def has(column, report):
        theirs = column.startswith("Keras' own")
        return (
            value
            in {
                "backend": [report["backend"]],
                "package": ["Keras" if theirs else "keras_norms"],
                "keras": [report["versions"]["keras"]],
            }[name]
        )

    wanted = {column: report for column, report in COLUMNS.items() if has(column, report)}
    assert wanted
    in_order(page, wanted)


def test_a_search_finds_a_requirement_and_its_words(open_page):
    page = open_page()
    page.get_by_label("Search").fill("KN-MAXNORM-002")
    assert {requirement for _, requirement in shown(page)} == {"", "KN-MAXNORM-002"}
    expect(page.locator("tr.requirement th")).to_contain_text("each Conv2D filter has one norm")
    again = open_page(address=page.evaluate("location.hash"))  # the address keeps the search
    assert shown(again) == shown(page)


def test_the_address_keeps_that_every_version_is_shown(open_page):
    page = open_page()
    choose(page, "keras", "")
    again = open_page(address=page.evaluate("location.hash"))
    in_order(again, COLUMNS)


def test_a_cell_opens_to_its_cases_and_closes(open_page):
    page = open_page()
    page.get_by_label("Search").fill("KN-MAXNORM-005")
    button = page.get_by_role("button", name=re.compile("Keras' own, jax.*KN-MAXNORM-005"))
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    report = NEWEST["Keras' own, jax"]
    cases = [case for case in report["cases"] if case["requirement"] == "KN-MAXNORM-005"]
    items = page.locator("tr.cases li")
    assert items.count() == len(cases)
    text = page.locator("tr.cases").inner_text()
    for case in cases:
        assert f"{report['reproduce']} -k {case['id']}" in text
        assert case["title"] in text
        assert case["message"].split("\n")[0][:80] in text
    failed = next(case for case in cases if case["status"] == "failed")
    worst = max(failed["measures"], key=lambda m: float(m["score"]) / (m["budget"] or 1e-9))
    assert f"score {float(worst['score']):.3g} of {worst['budget']:.3g} ulp" in text
    for words in ("hunts: ", "Source: ", report["commit"][:12]):
        assert words in text
    statuses = items.locator(".status").all_inner_texts()
    order = ["failed, wrong", "failed, imprecise", "failed, other convention", "failed, missing"]
    ranks = [order.index(s) if s in order else len(order) for s in statuses]
    assert ranks == sorted(ranks)  # what is wrong comes first
    button.click()
    assert not items.count()


def test_the_keyboard_reaches_everything(open_page):
    page = open_page()
    page.get_by_label("Search").focus()
    page.keyboard.type("KN-MAXNORM-005")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.ariaLabel || document.activeElement.name")
        )
        if "Keras' own, jax" in (reached[-1] or "") and "KN-" in reached[-1]:
            break
    assert {"backend", "keras", "package", "result", "Results"} <= set(reached)
    page.keyboard.press("Enter")
    expect(page.locator("tr.cases")).to_be_visible()
    page.keyboard.press("Enter")
    assert not page.locator("tr.cases").count()
    page.keyboard.press("Enter")
    page.locator("tr.cases td").evaluate("cell => { cell.tabIndex = -1; cell.focus(); }")
    page.keyboard.press("Escape")
    assert not page.locator("tr.cases").count()
    assert "KN-MAXNORM-005" in page.evaluate("document.activeElement.ariaLabel")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_legible_on_a_phone_and_in_the_dark(open_page, scheme):
    page = open_page(width=375, scheme=scheme)
    choose(page, "result", "that fail")
    page.locator("tr.requirement td button").last.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    sizes = page.locator("td, th, .note, code, label").evaluate_all(
        "all => all.map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 12
    colors = page.locator(".good, .mild, .bad, .note, body, code").evaluate_all(
        """all => all.map((one) => {
          const behind = (it) => getComputedStyle(it).backgroundColor;
          let back = one;
          while (behind(back) === "rgba(0, 0, 0, 0)") back = back.parentElement;
          return [getComputedStyle(one).color, behind(back)];
        })"""
    )
    for ink, back in {tuple(pair) for pair in colors}:
        assert contrast(ink, back) >= LEAST_CONTRAST, (ink, back)
    is_dark = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) < 0.1
    assert is_dark == (scheme == "dark")


def luminance(color):
    """The relative luminance of "rgb(1, 2, 3)", as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(*colors):
    dark, light = sorted(map(luminance, colors))
    return (light + 0.05) / (dark + 0.05)


def test_it_is_small_and_says_the_badges(open_page, path):
    assert path.stat().st_size < 1e6
    page = open_page()
    wanted = [f"{badge['label']}: {badge['message']}" for badge in BADGES]
    assert page.locator("#badges li").all_inner_texts() == wanted
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("thead th")).to_have_count(1 + len(COLUMNS))
