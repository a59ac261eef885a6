"""The page on design says the order of the rooms that the import contracts check."""

from __future__ import annotations

import re
import tomllib

from places import ROOT

PAGE = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")


def test_the_page_has_the_rooms_in_their_order() -> None:
    table = PAGE[PAGE.index("| `nogs_bench` | `nogs_bench.builders` |") :].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    written = [
        [found for row in rows if (found := set(re.findall(r"`(\w+)`", row[column])))]
        for column in (0, 1)
    ]
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = about["tool"]["importlinter"]["contracts"]
    checked = [
        [{name.rpartition(".")[2] for name in layer.split(" | ")} for layer in each["layers"]]
        for each in contracts
        if each["type"] == "layers"
    ]
    assert written == checked
