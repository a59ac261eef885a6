"""A release and the site, from a tag: the steps of the workflows, run here in order."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from places import ROOT
from workflows import Runner, git

CHANGES = """\
# Changelog

## 1.3.0 (unreleased)

- Later.

## 1.2.0 (2026-12-24)

- New: a thing.
- Mended: another.

## 1.1.0 (2026-11-01)

- Earlier.
"""
CITATION = "cff-version: 1.2.0\nversion: 1.2.0\ndate-released: 2026-12-24\n"
PROJECT = '[project]\nname = "nogs-bench"\nversion = "1.2.0"\n'


def release(folder: Path, tag: str, **texts: str) -> subprocess.CompletedProcess[str]:
    """What `.ci/release.py` says of a repository with these texts."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "release.py", folder / ".ci")
    files = {"changes": "CHANGELOG.md", "citation": "CITATION.cff", "project": "pyproject.toml"}
    known = {"changes": CHANGES, "citation": CITATION, "project": PROJECT}
    for name, text in (known | texts).items():
        (folder / files[name]).write_text(text, encoding="utf-8")
    command = [sys.executable, str(folder / ".ci" / "release.py"), tag]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_release_s_page_is_its_part_of_the_changelog(tmp_path: Path) -> None:
    done = release(tmp_path, "v1.2.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "- New: a thing.\n- Mended: another.\n"


@pytest.mark.parametrize(
    ("tag", "texts", "why"),
    [
        ("v1.2.1", {}, "pyproject.toml has version 1.2.0"),
        ("1.2.0", {}, "pyproject.toml has version 1.2.0"),
        (
            "v1.2.0",
            {"citation": CITATION.replace("1.2.0\nd", "1.1.0\nd")},
            "CITATION.cff's version",
        ),
        ("v1.2.0", {"citation": CITATION.replace("12-24", "12-25")}, "date-released is not"),
        ("v1.2.0", {"changes": CHANGES.replace("2026-12-24", "unreleased")}, "give the day"),
        ("v1.2.0", {"changes": "# Changelog\n"}, "has no part '## 1.2.0"),
    ],
)
def test_what_does_not_agree_is_no_release(
    tmp_path: Path, tag: str, texts: dict[str, str], why: str
) -> None:
    done = release(tmp_path, tag, **texts)
    assert (done.returncode, done.stdout) == (1, "")
    assert why in done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository as it is, ready for a release, with a remote of its own."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the repository")
    home = tmp_path_factory.mktemp("release")
    folder = home / "checkout"
    for name in git(ROOT, "ls-files", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    changes = (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.*)"', (folder / "pyproject.toml").read_text(), re.M)[1]
    head = re.compile(rf"^## {re.escape(version)} .*", re.M)
    dated = head.sub(f"## {version} (2026-12-24)", changes)
    (folder / "CHANGELOG.md").write_text(dated, encoding="utf-8")
    with (folder / "CITATION.cff").open("a", encoding="utf-8") as file:
        file.write("date-released: 2026-12-24\n")
    git(home, "init", "--quiet", "--bare", "--initial-branch", "main", "origin.git")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "remote", "add", "origin", home / "origin.git")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Release")
    git(folder, "tag", f"v{version}")
    return folder


@pytest.mark.slow
def test_a_tag_builds_what_is_published(checkout: Path, tmp_path: Path) -> None:
    tag = git(checkout, "tag").strip()
    runner = Runner(checkout, {}, GITHUB_REF_NAME=tag)
    steps = list(runner.run("release", "build", leave_out=("Tools",)))
    assert [step.status for step in steps] == [0, 0], steps[-1].said
    made = {path.suffix for path in (checkout / "release" / "dist").iterdir()}
    assert made == {".gz", ".whl"}
    notes = (checkout / "release" / "notes.md").read_text(encoding="utf-8")
    assert "\n- " in notes
    assert "\n## " not in notes  # of this version alone
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (programs / "gh").chmod(0o755)
    event = {"github.token": "secret"}
    runner = Runner(checkout, event, programs, GITHUB_REF_NAME=tag, GITHUB_REPOSITORY="a/b")
    (said,) = runner.run("release", "page")
    words = said.said.split()
    assert words[:3] == ["release", "create", tag]
    assert len([word for word in words if word.startswith("release/dist/")]) == 2
    assert words[-1] == "release/notes.md"


@pytest.mark.slow
def test_the_site_has_a_version_a_release(checkout: Path) -> None:
    tag = git(checkout, "tag").strip()
    for ref in ("refs/heads/main", f"refs/tags/{tag}"):
        runner = Runner(checkout, {}, GITHUB_REF=ref)
        steps = list(runner.run("docs", "site", leave_out=("Install",)))
        assert [step.status for step in steps] == [0, 0], steps[-1].said
    there = set(git(checkout, "ls-tree", "--name-only", "origin/gh-pages").split())
    assert {"dev", tag[1:].rpartition(".")[0], "latest", "versions.json", "index.html"} <= there
    board = git(checkout, "show", "origin/gh-pages:dev/board/index.html")
    assert "cluttered-digits" in board
