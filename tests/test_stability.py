"""What docs/stability.md promises is what the project says elsewhere."""

from __future__ import annotations

import re
import tomllib

import pytest

from places import ROOT
from workflows import FOLDER, workflow

ABOUT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PROMISES = (ROOT / "docs" / "stability.md").read_text(encoding="utf-8")


def test_lowest_versions_are_said_for_every_dependency() -> None:
    extras = ABOUT["optional-dependencies"]
    lines = [*ABOUT["dependencies"], *(line for group in extras.values() for line in group)]
    bounded = re.compile(r"[\w.-]+(\[\w+\])?[>=]=[\d.]+$")
    assert [line for line in lines if not bounded.match(line) and "nogs-bench" not in line] == []
    torch = next(line for line in lines if line.startswith("torch"))
    assert f"torch {torch.partition('>=')[2]} among them" in PROMISES


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the repository")
def test_the_table_names_what_ci_asks() -> None:
    matrix = workflow("ci")["jobs"]["fast"]["strategy"]["matrix"]
    first, last = matrix["python"][0], matrix["python"][-1]
    assert f"| macOS | {first} to {last} |" in PROMISES
    assert f"| Windows | {first} to {last} |" in PROMISES
    assert ABOUT["requires-python"] == f">={first}"
    assert {name.partition("-")[0] for name in matrix["system"]} == {"ubuntu", "macos", "windows"}


def test_classifiers_claim_no_more_than_the_table_has_evidence_for() -> None:
    proven = [
        line for line in PROMISES.splitlines() if "`.ci/run`" in line or "the fast tests" in line
    ]
    for classifier in ABOUT["classifiers"]:
        found = re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", classifier)
        if found:
            assert any(f"| {found[1]} |" in line for line in proven), classifier
        if classifier.startswith("Operating System"):
            assert any(classifier.rpartition(" ")[2] in line for line in proven)
