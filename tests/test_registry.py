from __future__ import annotations

import hashlib
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from nogs_bench import registry
from nogs_bench.errors import NogsError
from nogs_bench.registry import Registry, load_object, source_digest


def filled() -> Registry[int]:
    numbers: Registry[int] = Registry("number")
    numbers.add("two", 2)
    numbers.register("three")(3)
    return numbers


def test_entries_come_back_by_name_and_in_order() -> None:
    numbers = filled()
    assert numbers["three"] == 3
    assert numbers.names() == ["two", "three"]
    assert list(numbers) == [2, 3]


def test_the_same_object_may_be_added_again_and_no_other() -> None:
    numbers = filled()
    numbers.add("two", 2)
    with pytest.raises(NogsError, match="number 'two' is registered twice"):
        numbers.add("two", 22)
    assert numbers["two"] == 2


def test_what_is_renewed_takes_the_place_of_what_was_and_of_nothing_else() -> None:
    numbers = filled()
    assert numbers.renew("four", 3) == 3
    assert numbers.renew("four", 4) == numbers["four"] == 4
    assert numbers.lasting() == {"two": 2, "three": 3}
    with pytest.raises(NogsError, match="number 'two' is registered twice"):
        numbers.renew("two", 22)
    numbers.add("four", 4)
    with pytest.raises(NogsError, match="number 'four' is registered twice"):
        numbers.renew("four", 44)


def test_an_unknown_name_hears_of_the_nearest_and_of_all() -> None:
    with pytest.raises(NogsError) as refused:
        filled()["thre"]
    assert "did you mean 'three'?" in str(refused.value)
    assert "known are two, three" in str(refused.value)


def test_entry_points_are_read_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "nogs_bench.numbers"
    points = EntryPoints(
        [EntryPoint("pi", "math:pi", group), EntryPoint("now", "collections:Counter", group)]
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))
    numbers: Registry[object] = Registry("number", group)
    numbers.add("two", 2)
    assert numbers["two"] == 2
    assert numbers["pi"] == pytest.approx(3.14159265)
    assert numbers["now"] == {}, "a function gives what it returns"
    assert numbers.names() == ["two", "pi", "now"]


def test_an_object_is_loaded_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import dataclasses\n\n@dataclasses.dataclass\nclass Net:\n    size: int = 3\n")
    net = load_object(f"{file}:Net", "model")
    assert net().size == 3
    assert __import__(net.__module__).Net is net


@pytest.mark.parametrize(
    ("content", "spec", "message"),
    [
        (None, "mine.py:Net", "no such model"),
        (None, "Net", "write it as FILE.py:NAME"),
        ("Net = 1", "mine.py:Other", "defines no 'Other'"),
        ("1 / 0", "mine.py:Net", "ZeroDivisionError"),
        ("def", "mine.py:Net", "SyntaxError"),
    ],
)
def test_a_bad_file_or_name_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, spec: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    with pytest.raises(NogsError, match=message):
        load_object(spec, "model")


def test_a_file_is_run_again_only_if_it_changed(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("class Net: size = 1\n")
    first = load_object(f"{file}:Net", "model")
    assert load_object(f"{file}:Net", "model") is first
    file.write_text("class Net: size = 2\n")
    assert load_object(f"{file}:Net", "model").size == 2


def test_a_model_is_known_by_all_that_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules beside it, whatever way they are imported, and what these import in turn."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "netparts_a.py").write_text("from netparts_b import WIDTH\nSIZE = WIDTH\n")
    (tmp_path / "netparts_b.py").write_text("WIDTH = 3\n")
    (tmp_path / "netparts_c.py").write_text("DEPTH = 5\n")
    file = tmp_path / "net.py"
    file.write_text(
        "import json, numpy\nimport netparts_a as parts\n\n"
        "def size():\n    import netparts_c\n    return parts.SIZE, netparts_c.DEPTH\n"
    )
    spec = f"{file}:size"
    assert load_object(spec, "model")() == (3, 5)
    seen = {source_digest(file)}
    (tmp_path / "netparts_b.py").write_text("WIDTH = 4000\n")
    seen.add(source_digest(file))
    assert load_object(spec, "model")() == (4000, 5)
    (tmp_path / "netparts_c.py").write_text("DEPTH = 6000\n")
    seen.add(source_digest(file))
    assert len(seen) == 3
    (tmp_path / "unrelated.py").write_text("")
    assert source_digest(file) in seen
    alone = tmp_path / "alone.py"
    alone.write_text("import torch, nogs_bench, json\n")
    assert source_digest(alone) == hashlib.sha256(alone.read_bytes()).hexdigest()


def test_an_error_in_a_user_s_file_says_where(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("import json\n\n\njson.loads('{')\n")
    with pytest.raises(NogsError, match=r"failed while it was loaded.*net\.py, line 4\)") as caught:
        load_object(f"{file}:Net", "model")
    assert "\n" not in str(caught.value)
