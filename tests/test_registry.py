from __future__ import annotations

import math
import os
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from nogs_bench import registry
from nogs_bench.errors import NogsError
from nogs_bench.registry import Registry


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


def test_entry_points_may_be_functions_that_take_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = "nogs_bench.numbers"
    points = [EntryPoint("root", "math:sqrt", group), EntryPoint("path", "os:path", group)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    numbers: Registry[object] = Registry("number", group)
    assert numbers["root"] is math.sqrt
    assert numbers["path"] is os.path
    points[:] = [EntryPoint("root", "math:wurzel", group)]
    broken: Registry[object] = Registry("number", group)
    with pytest.raises(NogsError, match=r"entry point 'root' \(math:wurzel\).*AttributeError"):
        broken.names()


def test_an_entry_point_that_ends_python_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "nogs_bench.numbers"
    points = [EntryPoint("end", "sys:exit", group)]  # called without arguments
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with pytest.raises(NogsError, match=r"entry point 'end' \(sys:exit\).*failed"):
        Registry("number", group).names()
