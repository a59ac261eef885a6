from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import pytest

from nogs_bench.builders.search.searches import SEARCHES
from nogs_bench.errors import NogsError
from nogs_bench.executors import LocalExecutor
from nogs_bench.methods import method_source
from nogs_bench.own_code import load_object, source_digest
from nogs_bench.tasks import get_task
from places import SUPPORT


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


def test_a_file_that_is_run_again_replaces_what_it_registered(tmp_path: Path) -> None:
    file, other = tmp_path / "mine.py", tmp_path / "other.py"
    text = (
        "from nogs_bench.builders.search.searches import SEARCHES\n\n\n"
        "@SEARCHES.register('of-the-tests')\ndef mine(problem, ask={number}): return ask\n"
    )
    for number in (1, 2):
        file.write_text(text.format(number=number))
        mine = load_object(f"{file}:mine", "search")
        assert SEARCHES["of-the-tests"] is mine
        assert mine(None) == number
    file.write_text(text.format(number=3) + text.format(number=4))
    with pytest.raises(NogsError, match="search 'of-the-tests' is registered twice"):
        load_object(f"{file}:mine", "search")
    other.write_text(text.format(number=3))
    with pytest.raises(NogsError, match="search 'of-the-tests' is registered twice"):
        load_object(f"{other}:mine", "search")


def test_a_file_may_itself_say_where_its_imports_are(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "farparts.py").write_text("NAME = 'far-of-the-tests'\n")
    file = tmp_path / "mine.py"
    file.write_text(
        f"import sys\nsys.path.insert(0, {str(tmp_path / 'lib')!r})\nimport farparts\n"
        "from nogs_bench.builders.search.searches import SEARCHES\n\n\n"
        "@SEARCHES.register(farparts.NAME)\ndef mine(problem): pass\n"
    )
    load_object(f"{file}:mine", "search")
    again = load_object(f"{file}:mine", "search")
    assert SEARCHES["far-of-the-tests"] is again is load_object(f"{file}:mine", "search")
    sys.path.remove(str(tmp_path / "lib"))


def test_an_error_in_a_user_s_file_says_where(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("import json\n\n\njson.loads('{')\n")
    with pytest.raises(NogsError, match=r"failed while it was loaded.*net\.py, line 4\)") as caught:
        load_object(f"{file}:Net", "model")
    assert "\n" not in str(caught.value)


def test_a_file_imports_what_lies_beside_it(tmp_path: Path) -> None:
    """Modules and packages, when it is loaded and later, and these import each other."""
    parts = tmp_path / "beside_parts"
    parts.mkdir()
    (parts / "__init__.py").write_text("from .wide import WIDTH\n")
    (parts / "wide.py").write_text("from beside_base import ONE\nWIDTH = 2 * ONE\n")
    (tmp_path / "beside_base.py").write_text("ONE = 1\n")
    (tmp_path / "beside_late.py").write_text("class Late: pass\n")
    file = tmp_path / "net.py"
    file.write_text(
        "from beside_parts import WIDTH\n\n"
        "def size():\n    from beside_late import Late\n    return WIDTH, Late.__name__\n"
    )
    digest = source_digest(file)
    assert load_object(f"{file}:size", "model")() == (2, "Late")
    assert source_digest(file) == digest, "it does not matter what was imported before"
    assert str(tmp_path) not in sys.path
    for changed in (parts / "wide.py", parts / "__init__.py", tmp_path / "beside_late.py"):
        changed.write_text(changed.read_text() + "# changed\n")
        assert source_digest(file) != digest
        digest = source_digest(file)


def test_a_changed_module_is_run_although_its_size_and_time_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So Python would take the bytecode that it kept of the earlier text."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    helper, file = tmp_path / "beside_number.py", tmp_path / "net.py"
    for own, width in ((1, 1), (1, 2), (2, 2)):
        helper.write_text(f"WIDTH = {width}\n")
        file.write_text(f"from beside_number import WIDTH\nSIZE = {own}, WIDTH\n")
        for path in (helper, file):
            os.utime(path, (1e9, 1e9))
        assert load_object(f"{file}:SIZE", "model") == (own, width)


def test_two_modules_of_one_name_are_refused(tmp_path: Path) -> None:
    """One of the two files would run with the other's."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.py").write_text("import beside_twice\n\nN = beside_twice.N\n")
    for name in ("a", "b"):
        (tmp_path / name / "beside_twice.py").write_text(f"N = {name!r}\n")
    digests = {source_digest(tmp_path / name / "net.py") for name in ("a", "b")}
    assert load_object(f"{tmp_path}/a/net.py:N", "model") == "a"
    with pytest.raises(NogsError, match=r"b.beside_twice\.py\), and another .*a.beside_twice\.py"):
        load_object(f"{tmp_path}/b/net.py:N", "model")
    with pytest.raises(NogsError, match="there is none beside it"):
        load_object(f"{tmp_path}/c/net.py:N", "model")
    assert {source_digest(tmp_path / name / "net.py") for name in ("a", "b")} == digests
    assert load_object(f"{tmp_path}/a/net.py:N", "model") == "a"


def test_libraries_go_before_what_lies_beside(tmp_path: Path) -> None:
    """A model called timm.py may import timm; data kept in a folder is no module."""
    (tmp_path / "timm.py").write_text("raise ImportError('not this one')\n")
    (tmp_path / "beside_data").mkdir()
    file = tmp_path / "net.py"
    file.write_text(
        "import timm\n\ntry:\n    import beside_data\nexcept ImportError:\n    VERSION = 1\n"
    )
    assert load_object(f"{file}:VERSION", "model") == 1
    assert sys.modules["timm"].__version__


def test_tasks_and_methods_are_known_by_what_lies_beside_them(tmp_path: Path) -> None:
    support = tmp_path / "beside_task.py"
    support.write_text((SUPPORT / "corner_task.py").read_text())
    (tmp_path / "task.py").write_text("from beside_task import CORNER as TASK\n")
    assert get_task(f"{tmp_path}/task.py:TASK").name == "corner"
    helper, file = tmp_path / "beside_loss.py", tmp_path / "method.py"
    helper.write_text("POWER = 1\n")
    file.write_text("from beside_loss import POWER\n")
    first = method_source(f"{file}:METHOD")
    helper.write_text("POWER = 2\n")
    assert method_source(f"{file}:METHOD") != first


def test_worker_processes_find_what_lies_beside(tmp_path: Path) -> None:
    (tmp_path / "beside_factor.py").write_text("FACTOR = 3\n")
    file = tmp_path / "work.py"
    file.write_text("import beside_factor\n\ndef load(n): return n * beside_factor.FACTOR\n")
    done = LocalExecutor(2).run(partial(load_object, f"{file}:load", "function"), range(3))
    assert sorted(done) == [(0, 0), (1, 3), (2, 6)]


def test_a_file_that_ends_python_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import sys\nMINE = 1\nsys.exit(0)\n")
    with pytest.raises(NogsError, match=r"ends\.py ends Python while it is loaded"):
        load_object(f"{tmp_path}/ends.py:MINE", "model")


def test_a_file_that_was_interrupted_is_run_again(tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    stop.touch()
    (tmp_path / "half.py").write_text(
        f"from pathlib import Path\nif Path({str(stop)!r}).exists():\n"
        "    raise KeyboardInterrupt\nMINE = 1\n"
    )
    with pytest.raises(KeyboardInterrupt):
        load_object(f"{tmp_path}/half.py:MINE", "model")
    stop.unlink()
    assert load_object(f"{tmp_path}/half.py:MINE", "model") == 1
