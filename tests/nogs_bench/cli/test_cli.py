from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import nogs_bench
from nogs_bench import cli, exits
from nogs_bench.builders import pipeline
from nogs_bench.figures import tables
from nogs_bench.results.storage import save_result
from results import run_result
from small_dataset import write

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the program in this process; returns exit status, standard output and error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nogs-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def one_line_error(outcome: tuple[int, str, str], status: int = 1) -> str:
    assert outcome[0] == status
    assert outcome[1] == ""
    assert outcome[2].count("\n") == 1, outcome[2]
    return outcome[2]


def test_importing_is_light() -> None:
    code = (
        "import sys, nogs_bench, nogs_bench.cli; heavy = {'torch', 'datasets', 'matplotlib', "
        "'numpy', 'pydantic', 'timm'}; sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_no_other() -> None:
    for name in nogs_bench.__all__:
        found = getattr(nogs_bench, name)
        assert not isinstance(found, type(sys)), f"{name} is a module"
        assert name in dir(nogs_bench)
    assert nogs_bench.__version__ == version("nogs-bench")
    with pytest.raises(AttributeError, match="attribute nothing"):
        _ = nogs_bench.nothing


def test_no_module_hides_the_function_of_its_name() -> None:
    """Importing a submodule sets the package's attribute of that name."""
    package = Path(nogs_bench.__file__).parent
    modules = {path.stem for path in package.iterdir()}
    assert not modules & set(nogs_bench.__all__)


def test_version_and_help(run: Run) -> None:
    assert run("--version") == (0, f"nogs-bench {version('nogs-bench')}\n", "")
    status, out, _ = run("--help")
    assert status == 0
    assert all(name in out for name in ("tasks", "methods", "build", "evaluate", "score", "plot"))


@pytest.mark.parametrize(
    "arguments", [["bild"], ["build"], ["evaluate", "--seeds", "0"], ["score"], ["plot", "epe"]]
)
def test_wrong_usage_ends_with_2(run: Run, arguments: list[str]) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert "Usage" in err


def test_tasks_and_methods_in_json_and_in_tables(run: Run) -> None:
    status, out, err = run("tasks", "--json")
    assert (status, err) == (0, "")
    known = {task["name"]: task for task in json.loads(out)}
    digits = known["cluttered-digits"]
    assert (digits["image_size"], digits["glimpse_size"], digits["T"]) == (28, 6, 5)
    assert digits["splits"]["train"] == 60_000
    assert known["fashion-mnist"]["cells"] == 169
    table = run("tasks")[1]
    # Many tasks of a family are one row.
    assert "celeba-hq-* (40)" in table
    assert all(name in table or f"{task['family']}-*" in table for name, task in known.items())
    status, out, _ = run("methods", "--json")
    methods = {method.pop("name"): method for method in json.loads(out)}
    assert methods["ram"]["options"] == {"each_step": 0, "passes": 1, "rate": 1}
    assert methods["ram-ppo"]["options"]["clip"] == 0.2
    assert all(set(m) == {"description", "reference", "options"} for m in methods.values())
    assert "REINFORCE" in run("methods")[1]


@pytest.fixture
def corner(tmp_path: Path) -> str:
    file = tmp_path / "corner.py"
    file.write_text("from tiny import corner_task\n\nCORNER = corner_task(name='corner-cli')\n")
    return f"{file}:CORNER"


def test_build_plot_and_load(run: Run, tmp_path: Path, corner: str) -> None:
    folder = tmp_path / "nogs"
    options = ("--images", 4, "--posterior", "bank", "--workers", 1, "--threads", 1, "--json")
    status, out, err = run("build", corner, *options, "--out", folder)
    assert status == 0, err
    record = json.loads(out)
    assert record["folder"] == str(folder)
    assert (record["task"], record["annotated"]) == ("corner-cli", 4)
    # One glimpse at the lower right corner tells all, and the bank's posterior knows it.
    rows = nogs_bench.load(folder)["train"].with_format("numpy")[:4]
    np.testing.assert_array_equal(rows["glimpses"][:, 0], [[8, 8]] * 4)
    assert run("plot", "reliability", folder, "--out", tmp_path / "reliability.svg")[0] == 0
    assert "t = 2, error" in (tmp_path / "reliability.svg").read_text()
    assert run("plot", "epe", folder, "--index", 1, "--out", tmp_path / "epe.png")[0] == 0
    assert (tmp_path / "epe.png").read_bytes().startswith(b"\x89PNG")


def test_completions_are_compared(run: Run, corner: str) -> None:
    arguments = ("compare", "completions", corner, "--names", "retrieval", "--images", 2)
    status, out, err = run(*arguments, "--samples", 3, "--json")
    assert (status, err) == (0, "")
    (measured,) = json.loads(out)
    assert measured["name"] == "retrieval"
    assert measured["coverage"] == pytest.approx(measured["diversity"] / measured["elsewhere"])
    table = run(*arguments, "--samples", 3)[1]
    assert "retrieval" in table
    assert f"{measured['elsewhere']:.3f}" in table
    error = one_line_error(run("compare", "completions", corner, "--names", "retrieval,hcm"))
    assert "did you mean 'hmc'" in error


def test_posteriors_are_compared(run: Run) -> None:
    arguments = ("compare", "avp", "cluttered-digits", "--networks", "local", "--cost-only")
    status, out, err = run(*arguments, "--device", "cpu", "--json")
    assert (status, err) == (0, "")
    (measured,) = json.loads(out)
    assert measured["network"] == "local"
    assert measured["prepared"] > 0
    assert "not trained" in run(*arguments, "--device", "cpu")[1]
    error = one_line_error(run("compare", "avp", "cluttered-digits", "--networks", "locl"))
    assert "did you mean 'local'" in error


def test_bad_input_is_one_line(run: Run, tmp_path: Path, corner: str) -> None:
    out = ("--out", tmp_path / "out")
    assert "did you mean 'fashion-mnist'" in one_line_error(run("build", "fashion-mist", *out))
    assert "--data" in one_line_error(run("build", corner, *out, "--data", tmp_path / "absent"))
    assert "unknown" in one_line_error(run("build", corner, *out, "--search", "psychic"))
    assert "no such task file" in one_line_error(run("build", "absent.py:TASK", *out))
    assert "no results folder" in one_line_error(run("score", tmp_path / "absent"))
    error = one_line_error(run("plot", "epe", tmp_path / "absent", "--out", tmp_path / "a.png"))
    assert "absent" in error
    empty = write(tmp_path / "d"), "--out", tmp_path / "a.png"
    assert "holds no calibration" in one_line_error(run("plot", "reliability", *empty))
    assert not (tmp_path / "out").exists()


def test_a_result_cut_in_half_is_named(run: Run, tmp_path: Path) -> None:
    path = save_result(run_result(), tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert path.name in one_line_error(run("score", tmp_path))


def test_scores_in_json_and_in_a_table(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # each head in one line
    curves = {"ram": (0.1, 0.3, 0.6, 0.86), "ps-nogs": (0.1, 0.85, 0.88, 0.9)}
    for method, accuracy in curves.items():
        for seed in range(2):
            save_result(run_result(method, seed, accuracy), tmp_path)
    status, out, err = run("score", tmp_path, "--json")
    assert (status, err) == (0, "")
    ram, nogs = json.loads(out)
    # The target of the task's protocol `scratch` is 84 %.
    assert ram["time_to_target"]["values"] == [{"low": 500, "high": 750}] * 2
    assert nogs["time_to_target"]["values"] == [{"low": 0, "high": 250}] * 2
    assert nogs["speed_ups"]["time_to_target"]["middle"] == {"low": 2, "high": None}
    table = run("score", tmp_path)[1]
    for text in ("iterations to 84 %", "500\N{EN DASH}750", "< 250", "> 2.0", "90.0 [90.0, 90.0]"):
        assert text in table
    assert run("plot", "curves", tmp_path, "--out", tmp_path / "curves.png")[0] == 0


@pytest.mark.parametrize(
    ("failure", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "the same command goes on from there"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 1, "x: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 1, "check its permissions"),
        (nogs_bench.NogsError("several\nlines"), 1, "error: several lines"),
    ],
)
def test_failures_of_a_long_command_are_one_line(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    status: int,
    words: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(pipeline, "build", fail)
    outcome = run("build", "cluttered-digits", "--out", tmp_path / "d")
    assert words in one_line_error(outcome, status)


@pytest.mark.parametrize("again", [False, True])
def test_an_interrupted_evaluation_says_what_the_same_command_does(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(nogs_bench.evaluation, "evaluate", stop)
    flag = ["--again"] if again else []
    said = one_line_error(run("evaluate", "--out", tmp_path, *flag), 130)
    assert "finished runs are kept" in said
    assert ("goes on from there" in said) != again
    assert ("with --again the same command trains them anew" in said) == again


def test_a_defect_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for failure in (ZeroDivisionError(), OSError(errno.EBADF, "bad file number")):

        def fail(*_: object, failure: Exception = failure, **__: object) -> None:
            raise failure

        monkeypatch.setattr(pipeline, "build", fail)
        monkeypatch.setattr(sys, "argv", ["nogs-bench", "build", "x", "--out", str(tmp_path)])
        with pytest.raises(type(failure)):
            cli.main()
    assert errno.EBADF not in exits.ENVIRONMENT


def test_a_file_in_the_way_is_one_line(run: Run, tmp_path: Path, corner: str) -> None:
    (tmp_path / "file").write_text("in the way")
    options = ("--images", 2, "--posterior", "bank", "--workers", 1, "--threads", 1)
    error = one_line_error(run("build", corner, *options, "--out", tmp_path / "file" / "d"))
    assert str(tmp_path / "file") in error


def test_a_closed_pipe_is_quiet() -> None:
    program = f"{sys.executable} -c 'from nogs_bench.cli import main; main()' tasks --json"
    done = subprocess.run(
        ["bash", "-c", f"{program} | head -c 1"], capture_output=True, text=True, env=os.environ
    )
    assert (done.stdout, done.stderr) == ("[", "")


def test_a_dataset_s_quality_is_a_table(tmp_path: Path) -> None:
    record = json.loads((write(tmp_path / "d") / "provenance.json").read_text())
    table = tables.quality_table(record)
    assert [column.header for column in table.columns] == [
        "sequences",
        "quantity",
        "t = 1",
        "t = 2",
    ]
    assert table.row_count == 6
    calibrated = {**record, "calibration": {"expected_calibration_error": [0.125, 0.25]}}
    assert list(tables.quality_table(calibrated).columns[2].cells)[-1] == "0.125"
    assert tables.quality_table({**record, "quality": None}).row_count == 0
