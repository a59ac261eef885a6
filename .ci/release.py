"""Say what a release is about, once tag, package, CITATION.cff and CHANGELOG.md agree.

    python .ci/release.py v1.2.3 > notes.md

prints CHANGELOG.md's part on the version. It needs nothing but Python.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

HEADING = re.compile(r"^## (?P<version>\S+) \((?P<date>[^)]*)\)$", re.M)
DAY = re.compile(r"\d{4}-\d\d-\d\d")


def notes(root: Path, tag: str) -> str:
    """CHANGELOG.md's part on the version that `tag` names; exits with what does not agree."""
    version = tag.removeprefix("v")
    package = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    if tag != f"v{package['project']['version']}":
        sys.exit(f"tag {tag}, but pyproject.toml has version {package['project']['version']}")
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    if not re.search(rf"^version: {re.escape(version)}$", citation, re.M):
        sys.exit(f"CITATION.cff's version is not {version}")
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = list(HEADING.finditer(changes))
    for number, heading in enumerate(headings):
        if heading["version"] != version:
            continue
        if not DAY.fullmatch(heading["date"]):
            sys.exit(f"CHANGELOG.md has {heading[0]!r}: give the day of the release")
        if f"date-released: {heading['date']}" not in citation:
            sys.exit(f"CITATION.cff's date-released is not {heading['date']}, CHANGELOG.md's")
        after = headings[number + 1].start() if number + 1 < len(headings) else len(changes)
        return changes[heading.end() : after].strip() + "\n"
    sys.exit(f"CHANGELOG.md has no part '## {version} (YYYY-MM-DD)'")


if __name__ == "__main__":
    sys.stdout.write(notes(Path(__file__).parents[1], sys.argv[1]))
