"""Folders of many networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nogs_bench.cli import app
from nogs_bench.errors import NogsError
from nogs_bench.results.storage import save_result
from nogs_bench.trained import list_networks
from results import run_result


def test_runs_that_kept_their_network_are_listed_the_best_first(tmp_path: Path) -> None:
    for seed, last in enumerate((0.5, 0.7, 0.6)):
        run = run_result(seed=seed, accuracy=(0.1, 0.4, 0.62, last))
        (tmp_path / str(seed)).mkdir()
        path = save_result(run, tmp_path / str(seed))
        if seed < 2:
            path.with_suffix(".safetensors").write_bytes(b"12345")
    found = list_networks(tmp_path)
    assert len(found) == 2
    assert [run.accuracy for run in found] == sorted((r.accuracy for r in found), reverse=True)
    assert found[0].bytes == 5
    assert found[0].path.endswith(".json")
    renamed = tmp_path / "1" / "champion.json"
    Path(found[0].path).rename(renamed)
    Path(found[0].path).with_suffix(".safetensors").rename(renamed.with_suffix(".safetensors"))
    assert [run.path for run in list_networks(tmp_path)] == [str(renamed), found[1].path]
    found = list_networks(tmp_path)
    with pytest.raises(NogsError, match="no folder"):
        list_networks(tmp_path / "absent")
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "bad.safetensors").write_bytes(b"")
    with pytest.raises(NogsError, match=r"bad\.json is no result"):
        list_networks(tmp_path)
    lines: list[str] = []
    assert list_networks(tmp_path, damaged=lines.append) == found
    (line,) = lines
    assert "bad.json is no result" in line
    done = CliRunner().invoke(app, ["networks", str(tmp_path), "--json"])
    assert done.exit_code == 1
    assert [run["path"] for run in json.loads(done.stdout)] == [run.path for run in found]
    assert done.stderr == line + "\n"
    result = Path(found[0].path)
    for part, value in (("task", None), ("seed", "x"), ("method", 5)):
        result.write_text(json.dumps(json.loads(result.read_text()) | {part: value}))
        assert list_networks(tmp_path, damaged=lines.append) == found[1:]
        assert any(f"{result.name} is no result" in told for told in lines[-2:])
