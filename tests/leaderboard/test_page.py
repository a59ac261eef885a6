"""The page: what it says, that it needs nothing else, and that it works in a browser."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from board import board_run, board_runs, write_board
from browser import Browser, browser
from nogs_bench.errors import NogsError
from nogs_bench.leaderboard.charts import VIRIDIS, heat_png
from nogs_bench.leaderboard.page import build, render
from nogs_bench.leaderboard.places import counted, gallery, location_maps, spread
from nogs_bench.results.result import Environment, Point, RunResult, step_locations
from nogs_bench.sequences.finding import SHIPPED
from nogs_bench.tasks import get_task, register_task
from nogs_bench.tasks.geometry import GlimpseGrid
from results import run_result

DIGITS = SHIPPED / "cluttered-digits"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    write_board(folder / "results", board_runs(("ram", "ps-nogs", "ps-nogs-anneal")))
    write_board(folder / "results", board_runs(("ram", "ps-nogs"), protocol="pretrained"))
    write_board(folder / "results" / "theirs", board_runs(("ram", "their-way"), model="TheirNet"))
    return build(folder / "results", folder / "site", [DIGITS])


class Outline(HTMLParser):
    """Tags as they open and close, identifiers, and addresses that a browser would fetch."""

    VOID = ("meta", "link", "img", "input", "line", "rect", "circle", "polyline", "polygon", "br")

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.alone: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "a":
            self.links.append(str(given["href"]))
        if tag in ("img", "script", "iframe", "source", "link"):
            self.fetched += [str(given[name]) for name in ("src", "href") if name in given]
        if tag == "img" and not given.get("alt"):
            self.alone.append("img without alt")
        assert not any(name.startswith("on") for name in given), given

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()


def test_the_page_is_whole_and_needs_nothing_else(page: Path) -> None:
    html = page.read_text()
    outline = Outline(html)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert all(address.startswith("data:") for address in outline.fetched)
    assert outline.alone == []
    inner = [link[1:] for link in outline.links if link.startswith("#")]
    assert set(inner) <= set(outline.ids)
    assert [link for link in outline.links if not link.startswith("#")] == [
        "https://arxiv.org/abs/1906.05462"
    ]
    assert "url(" not in html
    assert "@import" not in html
    assert len([link for link in inner if link.startswith("entry-")]) == 7


def test_equal_results_make_equal_pages(page: Path, tmp_path: Path) -> None:
    again = build(page.parents[1] / "results", tmp_path, [DIGITS])
    assert again.read_bytes() == page.read_bytes()


def test_texts_of_results_are_text_and_never_markup() -> None:
    """Even of results that no validator has seen."""
    bad = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    runs = [
        run.model_copy(
            update={
                "method": f"m{bad}",
                "model": run.model.model_copy(update={"name": f"n{bad}"}),
                "dataset": run.dataset.model_copy(update={"name": f"d{bad}"}),
                "environment": Environment.model_construct(
                    package=bad, python=bad, torch=bad, device=bad, hardware=bad
                ),
                "hyperparameters": run.hyperparameters.model_copy(update={"embedder": bad}),
            }
        )
        for run in board_runs(("ps-nogs",))
    ]
    html = render(runs)
    Outline(html)  # which refuses attributes that are scripts
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert html.count("<script>") == 1
    assert html.count("&lt;script&gt;alert(1)") > 5


def test_bounds_ranges_and_declared_costs_are_shown() -> None:
    runs = list(board_runs(("ps-nogs",)))
    for run in board_runs(("ram",)):
        low = tuple(point.model_copy(update={"accuracy": 0.2}) for point in run.curve)
        runs.append(run.model_copy(update={"curve": low}))
    html = render(runs)
    assert "a bound: 5 of 5 seeds never got there" in html
    row = re.search(r'<tr data-method="ps-nogs".*?</tr>', html.split('class="wrap board"')[1], re.S)
    assert "<b>1</b>" in row[0]
    assert "9.2 min" in row[0]
    few = render([run for run in runs if run.seed < 2])
    assert "<b>1\N{EN DASH}2</b>" in few
    assert "not run (0 of 40 tasks)" in html


def test_the_page_shows_no_figure_that_is_not_known() -> None:
    """Boards with every kind of gap: a method that was not run on one, seeds that never got there,
    others that were there at once, RAM that never learned, entries that tie, no RAM at all."""
    runs = list(board_runs(("ram", "ps-nogs", "ps-h1"), protocol="pretrained"))
    ram = [run for run in runs if run.method == "ram"]

    def changed(method: str, task: str, at: Callable[[Point], Point]) -> list[RunResult]:
        made = board_runs((method,), task=task)
        return [r.model_copy(update={"curve": tuple(map(at, r.curve))}) for r in made]

    def nothing(point: Point) -> Point:
        return point.model_copy(update={"cross_entropy": 2.5, "accuracy": 0.1})

    def at_once(point: Point) -> Point:
        return point.model_copy(update={"cross_entropy": 0.1, "accuracy": 0.9})

    runs += changed("ram", "fashion-mnist", nothing)  # never learned
    runs += changed("ps-nogs", "fashion-mnist", at_once)
    runs += changed("ps-h1", "fashion-mnist", nothing)
    runs += changed("ram", "cluttered-fashion", at_once)  # ties with the next
    runs += changed("ps-nogs", "cluttered-fashion", at_once)
    runs += board_runs(("ps-hgs",))  # no RAM beside it
    html = render(runs)
    assert len(ram) == 5
    text = re.sub(r"<style>.*?</style>|<script>.*?</script>|<svg.*?</svg>", "", html, flags=re.S)
    text = re.sub(r"<[^>]*>", " ", text)
    assert not re.search(r"(?<=\s)(0\.00? \u00d7|inf|nan|undefined)(?=\s|$)", text)
    rows = {method: overall_row(html, method) for method in ("ram", "ps-nogs", "ps-hgs", "ps-h1")}
    assert rows["ram"][3:5] == ["\N{EN DASH}", "\N{EN DASH}"]
    assert rows["ps-hgs"][3:5] == ["\N{EN DASH}", "0 of 1"]
    # Where RAM never learned, and where both were there at once, nothing is known.
    assert rows["ps-nogs"][4] == "1 of 3"
    assert float(rows["ps-nogs"][3].split("\N{EN DASH}")[0].strip("> ")) > 2
    assert "not learned" in text
    assert "not known" in text
    # A tie at the top is a range, and the entry that was there at once has no number of iterations.
    assert "&lt; 100" in text


def overall_row(html: str, method: str) -> list[str]:
    """Method, model, score, speed-up, the boards that it is known on, targets reached."""
    section = html[html.index('id="overall"') : html.index('class="wrap board"')]
    (row,) = re.findall(rf'<tr data-method="{method}".*?</tr>', section, re.S)
    cells = re.findall(r"<t[dh].*?</t[dh]>", row, re.S)
    return [re.sub(r"<[^>]*>", "", cell).strip() for cell in cells]


def test_bounds_from_both_sides_are_known_on_their_boards() -> None:
    """More than 2 on one board, less than 1 on another: the mean is not known, both are. It was
    "known on 0 of 2"."""
    good, bad = (0.1, 0.9, 0.9, 0.9), (0.1, 0.2, 0.2, 0.3)
    runs = []
    for seed in range(2):
        for task, ram, own in (("cluttered-digits", bad, good), ("fashion-mnist", good, bad)):
            runs += [run_result("ram", seed, ram, task), run_result("ps-nogs", seed, own, task)]
    assert overall_row(render(runs), "ps-nogs")[3:5] == ["not known", "2 of 2"]


def test_two_rates_of_a_method_are_one_board() -> None:
    """They were two of the mean over boards: "known on 2 of 1"."""
    runs = list(board_runs(("ram", "ps-nogs")))
    for run in runs[5:]:
        slower = run.hyperparameters.model_copy(update={"learning_rate": 1e-3})
        curve = board_run("ps-h1", run.seed).curve
        runs.append(run.model_copy(update={"hyperparameters": slower, "curve": curve}))
    names = re.findall(r"<title>(ps-nogs[^<]*)</title>", render(runs))
    assert sorted(names)[:2] == ["ps-nogs at 1e-3, reference"] * 2
    assert "ps-nogs, reference" in names
    alone, both = (overall_row(render(each), "ps-nogs") for each in (runs[:10], runs))
    assert both == alone
    assert both[4] == "1 of 1"


def test_a_target_is_shown_with_its_digits_and_by_what_it_is_about() -> None:
    """.9972 was "target 100 %" in the chart; and curves of accuracy met a balanced target."""
    base = get_task("cluttered-digits")
    plan = replace(base.protocol("scratch"), target_accuracy=0.9972)
    task = replace(base, name="even-digits", judged_by="balanced_accuracy", protocols=(plan,))
    register_task(task)
    run = board_run(task=task.name)
    for share, height in ((0.0, "290.0"), (1.0, "14.0")):
        curve = tuple(p.model_copy(update={"balanced_accuracy": share}) for p in run.curve)
        html = render([run.model_copy(update={"curve": curve})])
        assert "The target is a validation balanced accuracy of 99.72" in html
        assert ">target 99.72 %<" in html
        assert html.count(">validation balanced accuracy, %<") == 2
        ((mean, _),) = set(re.findall(r'class="mean" points="([^"]*)"/></g>(</svg><fig)', html)[1:])
        assert {pair.partition(",")[2] for pair in mean.split()} == {height}


def test_faulty_results_make_no_page(tmp_path: Path) -> None:
    write_board(tmp_path / "results", board_runs(("ram",), seeds=4))
    with pytest.raises(NogsError, match="an entry needs at least 5 seeds"):
        build(tmp_path / "results", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_location_maps_by_hand() -> None:
    grid = GlimpseGrid.even(image_size=28, glimpse_size=6, stride=3)
    counts = np.zeros((5, 64), np.int64)
    counts[:, 0] = 20_000
    counts[1] = [5_000] * 4 + [0] * 60
    run = board_run().model_copy(update={"locations": step_locations(counts.tolist())})
    np.testing.assert_array_equal(counted([run, run], grid), 2 * counts)
    assert spread(counts[0]) == 0
    assert spread(counts[1]) == pytest.approx(np.log(4) / np.log(64))
    assert spread(np.ones(64)) == pytest.approx(1)
    maps = location_maps([run], grid)
    assert maps[0].label == "Glimpse 1: most often, 100 %, at row 0, column 0; spread 0.00"
    assert "25 %" in maps[1].label
    assert location_maps([board_run(located=False)], grid) == []


def test_heat_is_viridis_from_least_to_greatest() -> None:
    import base64
    import io

    from PIL import Image

    address = heat_png(np.array([[0.0, 4.0], [8.0, np.nan]]))
    picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    pixels = np.asarray(picture)
    assert pixels[0, 0].tolist() == VIRIDIS[0].tolist()
    assert pixels[0, 1].tolist() == VIRIDIS[4].tolist()
    assert pixels[1, 0].tolist() == VIRIDIS[-1].tolist()
    assert pixels[1, 1].tolist() == [128] * 3


def test_the_gallery_shows_what_was_chosen() -> None:
    shown = gallery(DIGITS, 4)
    assert len({each.label for each in shown}) == 4
    for each in shown:
        assert len(each.boxes) == len(each.maps) == len(each.crosses) == 5
        left, top = each.boxes[0]
        assert f"least at row {top}, column {left}" in each.maps[0].label
        # 8 x 8 cells, 3 pixels apart.
        assert each.crosses[0] == pytest.approx(
            (100 * (left / 3 + 0.5) / 8, 100 * (top / 3 + 0.5) / 8)
        )
    with pytest.raises(NogsError, match="cannot be read"):
        gallery(DIGITS / "maps", 4)


@pytest.mark.parametrize("part", ["annotations", "maps"])
def test_the_gallery_shows_nothing_of_damaged_files(part: str, tmp_path: Path) -> None:
    folder = shutil.copytree(DIGITS, tmp_path / "digits")
    file = folder / part / "train.parquet"
    table = pq.read_table(file)
    pq.write_table(table.take(list(reversed(range(len(table))))), file)
    with pytest.raises(NogsError, match=f"{part}/train.parquet.* not the file whose sha256"):
        gallery(folder, 4)


@pytest.fixture(scope="module")
def opened(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def column(opened: Browser, board: int, number: int) -> list[str]:
    script = f"""[...document.querySelectorAll('#board-{board} tbody tr:not([hidden])')]
        .map((row) => row.cells[{number}].textContent.trim())"""
    return opened.run(script)


def press_header(opened: Browser, number: int) -> str:
    """Sort the second board by a column, by keyboard; returns the column's aria-sort."""
    cell = f"document.querySelectorAll('#board-1 thead th')[{number}]"
    opened.run(f"{cell}.querySelector('button').focus()")
    opened.press("Enter", 13)
    return opened.run(f"{cell}.getAttribute('aria-sort')")


def test_it_sorts_by_keyboard(page: Path, opened: Browser) -> None:
    opened.open(page)
    entries = column(opened, 1, 0)
    assert sorted(entries) == sorted(["ram", "ps-nogs", "ps-nogs-anneal", "ram", "their-way"])
    assert press_header(opened, 6) == "ascending"
    lows = [int(re.match(r"[\d,]+", text)[0].replace(",", "")) for text in column(opened, 1, 6)]
    assert lows == sorted(lows)
    assert press_header(opened, 6) == "descending"
    assert [
        int(re.match(r"[\d,]+", text)[0].replace(",", "")) for text in column(opened, 1, 6)
    ] == sorted(lows, reverse=True)
    # RAM has no speed-up over itself: at the end, either way.
    for _ in range(2):
        press_header(opened, 7)
        assert sum(text.startswith("\N{EN DASH}") for text in column(opened, 1, 7)[-2:]) == 2
    assert press_header(opened, 0) == "ascending"
    assert column(opened, 1, 0) == sorted(entries)
    assert opened.problems == []


def test_it_filters_tables_and_curves(page: Path, opened: Browser) -> None:
    opened.open(page)
    curves = "document.querySelectorAll('#board-1 svg g.series:not([hidden])').length"
    status = "document.getElementById('count').textContent"
    assert (opened.run(curves), opened.run(status)) == (5, "7 of 7 entries")
    opened.run("document.querySelector('input[value=ram]').click()")
    assert column(opened, 1, 0) == ["ps-nogs", "ps-nogs-anneal", "their-way"]
    assert (opened.run(curves), opened.run(status)) == (3, "4 of 7 entries")
    opened.run(
        "{const s = document.querySelector('select[name=model]'); s.value = 'TheirNet';"
        "s.dispatchEvent(new Event('input', {bubbles: true}))}"
    )
    assert column(opened, 1, 0) == ["their-way"]
    opened.run("document.querySelector('button[type=reset]').click()")
    time.sleep(0.2)
    assert opened.run(status) == "7 of 7 entries"
    opened.run(
        "{const s = document.querySelector('select[name=cost]'); s.value = s.options[1].value;"
        "s.dispatchEvent(new Event('input', {bubbles: true}))}"
    )
    assert "their-way" in column(opened, 1, 0)
    assert "ps-nogs" not in column(opened, 1, 0)
    opened.run("document.querySelector('button[type=reset]').click()")
    opened.run("document.querySelector('input[type=search]').focus()")
    opened.call("Input.insertText", text="anneal")
    assert column(opened, 1, 0) == ["ps-nogs-anneal"]
    assert opened.problems == []


def test_it_opens_an_entry_and_comes_back(page: Path, opened: Browser) -> None:
    opened.open(page)
    shown = "[...document.querySelectorAll('article.entry')].filter((e) => e.offsetParent).length"
    assert opened.run(shown) == 0
    opened.run("document.querySelector('#board-1 tbody a').focus()")
    opened.press("Enter", 13)
    time.sleep(0.3)
    assert opened.run(shown) == 1
    assert opened.run("document.activeElement.tagName") == "H2"
    assert opened.run("document.getElementById('overall').offsetParent") is None
    assert "Configuration" in opened.run("document.querySelector('article:target').innerText")
    assert opened.run("document.querySelectorAll('article:target polyline.seed').length") == 5
    opened.run("document.querySelector('article:target .back').click()")
    time.sleep(0.3)
    assert opened.run(shown) == 0
    assert opened.run("document.activeElement.getAttribute('href')").startswith("#entry-")
    assert opened.problems == []


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (390, True)])
def test_it_fits_and_can_be_read(page: Path, opened: Browser, width: int, dark: bool) -> None:
    """Nothing is wider than the window, and text stands off its ground (WCAG AA: 4.5 to 1)."""
    opened.open(page, width, dark=dark)
    assert opened.run("document.documentElement.scrollWidth") <= width
    script = """(() => {
      const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number)
          .map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ground = (e) => {
        for (; e; e = e.parentElement) {
          const c = getComputedStyle(e).backgroundColor;
          if (!/, 0\\)$|transparent|color\\(/.test(c)) return c;
        }
      };
      let least = 99;
      const texts = 'p, th, td, li, a, h1, h2, figcaption, .ci, button';
      for (const e of document.querySelectorAll(texts)) {
        if (!e.offsetParent || !e.textContent.trim()) continue;
        const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
        least = Math.min(least, (a + 0.05) / (b + 0.05));
      }
      return least;
    })()"""
    assert opened.run(script) >= 4.5
    assert opened.problems == []
