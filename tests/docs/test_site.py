"""The documentation: the site builds and asks nobody, every block is run or read as what it is."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer.main
from PIL import Image

from browser import browser
from nogs_bench.cli import app
from places import ROOT

PAGES = sorted(
    path
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
        ROOT / "leaderboard" / "RULES.md",
        *(ROOT / "docs").rglob("*.md"),
    )
    if path.is_file()
)
BLOCK = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^    (nogs-bench (?:.*\\\n)*.*)$", re.M)
NAMED = re.compile(r"# (\w+\.py)\n")  # a block that is a file
# Run whole, in order, in a directory of their own that has the examples. What is `text` instead of
# `bash` is read alone, and a comment before it says why. tests/docs/test_own_task.py runs own-task.
RUN = ("README", "index", "datasets", "networks", "own-model", "build-at-scale", "result-format")
# Python that is run by itself.
RUN_PYTHON = ("own-method", "tasks", "generators")
# Why commands are not run: `<!-- not run: REASON -->`.
REASONS = (
    "network",
    "GPU",
    "a cluster",
    "a store",
    "minutes",
    "hours",
    "your files",
    "your images",
)
MARKED = re.compile(r"^(?:<!-- not run: ([\w ]+) -->\n)?```([\w-]*)\n(.*?)^```$", re.M | re.S)
SHELL = re.compile(r"^(?:nogs-bench|python3?|pip|ray|sbatch|jupyter) ", re.M)
TOOLS = ("python", "python3", "pip", "jupyter", "pytest", ".ci/run", "source", "cd", "export")


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each block; Python that follows Python goes on where that ended."""
    found: list[tuple[str, str]] = []
    for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if found and language == found[-1][0] == "python" and not NAMED.match(found[-1][1]):
            text = f"{found.pop()[1]}\n{text}"
        found.append((language, text))
    return found


def commands(text: str) -> list[list[str]]:
    """The words of each command line, comments and chains taken apart."""
    lines = text.replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in line.split(" && ")]
    return [words for part in parts if (words := shlex.split(part, comments=True))]


def parse(words: list[str]) -> None:
    """Have the program read a command line, and not act on it. `...` and capitals may be in it."""
    command, name = typer.main.get_command(app), words.pop(0)
    # A group is known by its commands: typer brings click's classes under other names from 0.29 on.
    while (inside := getattr(command, "commands", None)) is not None:
        if name == "nogs-bench" and words and words[0] in ("--version", "--install-completion"):
            return
        name = words.pop(0)
        assert name in inside, f"no command {name}"
        command = inside[name]
    command.make_context(name, [word for word in words if word != "..."])


@pytest.mark.parametrize(
    "line",
    [
        "nogs-bench plot nothing x --out a.png",
        "nogs-bench leaderboard validate",
        "nogs-bench evaluate --no-such-option",
        "nogs-bench evaluate --seeds none",
    ],
)
def test_a_wrong_command_line_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r"nothing|Missing|No such option|valid int"):
        parse(shlex.split(line))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_reads_as_what_it_is(page: Path) -> None:
    for language, text in blocks(page):
        if language == "python":
            compile(text, str(page), "exec")
        elif language == "json":
            json.loads(text)
        else:
            assert language in ("", "bash", "text", "mermaid"), (
                f"{page.name}: a block of {language}"
            )
            for words in commands(text):
                program = Path(words[0]).name
                if program == "nogs-bench":
                    if language == "text":
                        words = ["1" if word in ("N",) else word for word in words]
                    parse(words)
                elif language == "bash" and not re.match(r"[A-Z]+=", words[0]):
                    assert program in TOOLS, f"{page.name}: {words}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_are_run_or_say_why_not(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not COMMAND.findall(BLOCK.sub("", text)), f"{page.name}: put commands between ```"
    if page.name == "commands.md":  # its lines say how commands are called
        return
    for reason, language, block in MARKED.findall(text):
        if language == "bash":
            assert page.stem in (*RUN, "own-task"), f"{page.name}: {block}"
        elif language in ("", "text") and SHELL.search(block):
            assert reason in REASONS, f"{page.name}: say why this is not run: {block}"


def indented() -> list[tuple[str, str]]:
    """Command lines in the examples' docstrings."""
    texts = []
    for example in sorted((ROOT / "examples").glob("*.py")):
        shown = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8")), clean=False)
        texts.append((example.name, shown or ""))
    return [(name, line) for name, text in texts for line in COMMAND.findall(text)]


@pytest.mark.parametrize(("name", "text"), indented())
def test_every_indented_command_parses(name: str, text: str) -> None:
    for words in commands(text):
        parse(words)


@pytest.mark.parametrize("page", RUN_PYTHON)
def test_python_that_needs_little_runs(page: str, tmp_path: Path) -> None:
    for language, text in blocks(ROOT / "docs" / f"{page}.md"):
        if language == "python":
            run([sys.executable, "-c", text], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_a_page_s_blocks_run_in_their_order(page: str, tmp_path: Path) -> None:
    source = ROOT / "README.md" if page == "README" else ROOT / "docs" / f"{page}.md"
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for language, text in blocks(source):
        named = NAMED.match(text)
        if named:
            (tmp_path / named[1]).write_text(text, encoding="utf-8")
        elif language == "python":
            run([sys.executable, "-c", text], tmp_path)
        elif language == "bash":
            run(["bash", "-ec", text], tmp_path)


def run(command: list[str], cwd: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_on_own_models_shows_the_example() -> None:
    example = (ROOT / "examples" / "custom_model.py").read_text(encoding="utf-8")
    assert f"```python\n# my_model.py\n{example}```" in (ROOT / "docs/own-model.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_line_within_a_paragraph_becomes_a_list(page: Path) -> None:
    """A line that happens to begin with a number and a full stop, as "by / 21. Then"."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    assert not re.findall(r"^\d\d+\. .*", text, re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_page_holds_what_a_merge_left(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"^(?:<{7} |={7}$|>{7} ).*", text, re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    if page.name == "CHANGELOG.md" or page.parent.name == "history":  # of what once was
        return
    text = page.read_text(encoding="utf-8")
    folders = "nogs_bench|builders|leaderboard|tests|benchmarks|examples|docs"
    named = re.findall(rf"`(?:python )?((?:{folders})/[\w/.-]+)", text)
    assert not [name for name in named if not (ROOT / name.rstrip(".")).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_entry_point_groups_that_a_page_names_are_read(page: Path) -> None:
    text = " ".join(page.read_text(encoding="utf-8").split())
    named = re.findall(r"(?:entry[- ]points?|group)(?: group| in the group)? `([\w.]+)`", text)
    sources = [p for room in ("nogs_bench", "builders") for p in (ROOT / room).rglob("*.py")]
    groups = {g for p in sources for g in re.findall(r'group="([\w.]+)"', p.read_text("utf-8"))}
    assert groups > {"nogs_bench.tasks"}
    assert set(named) <= groups


class Addresses(HTMLParser):
    """What a browser fetches for a page, and the page's links to others of the site."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        names = ("src", "srcset", "poster") if tag != "link" else ("href",)
        if tag == "link" and known.get("rel") in ("canonical", "prev", "next"):
            return
        self.fetched += [str(known[name]) for name in names if known.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # of the theme's, about another program
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return out


def test_the_site_builds_without_a_warning_and_fetches_nothing(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) >= len(list((ROOT / "docs").rglob("*.md")))
    for page in pages:
        addresses = Addresses()
        addresses.feed(page.read_text(encoding="utf-8"))
        for address in addresses.fetched:
            assert not re.match(r"(https?:)?//", address), f"{page.name} fetches {address}"
            name = address.partition("?")[0].partition("#")[0]
            if page.name != "404.html" and not name.startswith("data:"):
                assert (page.parent / name).exists(), f"{page.name}: {address}"
    for sheet in site.rglob("*.css"):
        assert "url(http" not in sheet.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if "$" in BLOCK.sub("", page.read_text(encoding="utf-8"))],
    ids=lambda page: page.stem,
)
def test_equations_become_mathml(page: Path, site: Path) -> None:
    text = (site / page.relative_to(ROOT / "docs").with_suffix(".html")).read_text(encoding="utf-8")
    assert "arithmatex" not in text
    assert "<math" in text
    shown = re.sub(r"<annotation.*?</annotation>", "", text)
    for math in re.findall(r"<math.*?</math>", shown, re.S):
        assert "\\" not in re.sub(r"<[^>]*>", "", math)


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1280])
def test_pages_fit_the_screen_in_the_light_and_in_the_dark(
    width: int, site: Path, tmp_path: Path
) -> None:
    """No page is moved sideways as a whole, and the scheme follows the system."""
    with browser(tmp_path) as page:
        for file in sorted(set(site.rglob("*.html")) - {site / "404.html"}):
            for dark, scheme in ((False, "default"), (True, "slate")):
                page.open(file, width=width, dark=dark)
                assert page.run("document.documentElement.scrollWidth") <= width, file.name
                assert page.run("document.body.dataset.mdColorScheme") == scheme, file.name


def test_figures_have_a_background_of_their_own() -> None:
    """Black labels on a dark page could not be read."""
    figures = sorted((ROOT / "docs" / "figures").glob("*.png"))
    assert figures
    for path in figures:
        with Image.open(path) as image:
            assert image.convert("RGBA").getchannel("A").getextrema() == (255, 255), path.name


def test_the_leaderboard_s_page_ends_with_the_rules(site: Path) -> None:
    rules = ROOT / "leaderboard" / "RULES.md"
    if not rules.is_file():
        pytest.skip("no leaderboard/RULES.md yet")
    first = re.findall(r"^## (.+)$", rules.read_text(encoding="utf-8"), re.M)
    page = (site / "leaderboard.html").read_text(encoding="utf-8")
    assert all(heading in page for heading in first)
    numbered = page[page.index('id="rules"') : page.index('id="how-to-submit"')]
    assert numbered.count("<ol") == 1  # one list, so that the numbers are those of the rules


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_no_file_is_large() -> None:
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    sizes = {n: (ROOT / n).stat().st_size for n in done.stdout.split("\0") if (ROOT / n).is_file()}
    assert not {name: size for name, size in sizes.items() if size > 2**20}
