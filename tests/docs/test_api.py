"""The Python reference holds every public name, under the line that imports it."""

from __future__ import annotations

import re

from places import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
ENTRY = re.compile(r"^::: (\S+)\n\n`(from (\S+) import (\w+))`$", re.M)


def test_every_entry_is_imported_as_it_says() -> None:
    assert len(ENTRY.findall(PAGE)) == PAGE.count("::: ")
    for path, line, _, name in ENTRY.findall(PAGE):
        assert path.endswith(f".{name}")
        exec(line, {})


def test_every_public_name_is_there() -> None:
    stub = (ROOT / "nogs_bench" / "__init__.pyi").read_text(encoding="utf-8")
    public = set(re.findall(r"import \w+ as (\w+)", stub))
    assert public == {name for _, _, room, name in ENTRY.findall(PAGE) if room == "nogs_bench"}
