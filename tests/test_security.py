"""What may read files of others: nothing that unpickles, runs or unpacks them."""

from __future__ import annotations

import ast
import importlib
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from board import board_run
from nogs_bench.builders.dataset.publication import make_publication
from nogs_bench.errors import NogsError
from nogs_bench.figures import plot_bars, plot_curves, plot_locations
from nogs_bench.files import read_provenance
from nogs_bench.files.npy import read_array
from nogs_bench.leaderboard.places import gallery
from nogs_bench.leaderboard.validation import validate
from nogs_bench.leaderboard.verification import verify
from nogs_bench.network.weights import load_weights
from nogs_bench.results import pack, save_result, score
from nogs_bench.sequences import load
from nogs_bench.tasks import TASKS
from small_dataset import write

PACKAGES = ("nogs_bench", "nogs_bench.builders", "nogs_bench.leaderboard")
# Where each call may stand, and with which keywords.
ALLOWED = {
    "np.load": {"npy.py": "allow_pickle=False"},
    "torch.load": {"weights.py": "weights_only=True"},
    "exec_module": {"loading.py": ""},
}
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "extractall", "read_pickle",
    "joblib.load", "yaml.load", "yaml.unsafe_load", "unpack_archive",
}  # fmt: skip
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def sources() -> list[Path]:
    folders = [Path(importlib.import_module(name).__file__).parent for name in PACKAGES]
    return sorted({path for folder in folders for path in folder.rglob("*.py")})


def calls(tree: ast.AST) -> list[tuple[str, str, str]]:
    """Every call as (whole name, last name, keywords)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = ", ".join(ast.unparse(keyword) for keyword in node.keywords)
            found.append((name, name.rpartition(".")[2], given))
    return found


def test_no_source_unpickles_runs_or_unpacks():
    paths = sources()
    assert len(paths) > 150
    seen = set()
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & MODULES, path
        for whole, last, given in calls(tree):
            for name in (whole, last):
                if name in ALLOWED:
                    assert path.name in ALLOWED[name], f"{path}: {whole}"
                    assert ALLOWED[name][path.name] in given, f"{path}: {whole}"
                    seen.add(name)
            own = FORBIDDEN - {"compile", "eval", "exec"} if "." in whole else FORBIDDEN
            builtin = whole in FORBIDDEN or last in own
            assert not builtin, f"{path}: {whole}"
    assert seen == ALLOWED.keys()


class Evil:
    """Would leave a file if it were unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_what_would_run_does_not(tmp_path):
    mark = tmp_path / "ran"
    np.save(tmp_path / "a.npy", np.array([Evil(mark)], dtype=object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Evil(mark)))
    np.savez(tmp_path / "c.npz", a=np.zeros(2))
    for name in ("a.npy", "b.npy", "c.npz"):
        for mode in (None, "c"):
            with pytest.raises(NogsError):
                read_array(tmp_path / name, mode)
    torch.save({"w": Evil(mark)}, tmp_path / "w.pt")
    (tmp_path / "v.pt").write_bytes(pickle.dumps({"w": Evil(mark)}))
    for name in ("w.pt", "v.pt"):
        with pytest.raises(NogsError, match="not loaded for safety"):
            load_weights(tmp_path / name)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Evil(mark)))
    assert mark.exists()


def test_a_dataset_cannot_name_a_file_to_run(tmp_path):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nTASK = None\n")
    folder = write(tmp_path / "d")
    record = read_provenance(folder) | {"task": f"{tmp_path}/evil.py:TASK"}
    (folder / "provenance.json").write_text(json.dumps(record))
    calls = {
        "gallery": lambda: gallery(folder, 1),
        "publish": lambda: make_publication(folder, "me/digits"),
        "load": lambda: load(folder, images=True),
    }
    for name, call in calls.items():
        with pytest.raises(NogsError, match="not registered"):
            call()
        assert not (tmp_path / "ran").exists(), name


def test_a_result_cannot_have_a_folder_opened(tmp_path, monkeypatch):
    """Its task is called as a folder of images here, which `--task` would take."""
    rng = np.random.default_rng(0)
    for number in range(20):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
    run = board_run("ram").model_copy(update={"task": "photos"})
    results = save_result(run, tmp_path / "results").parent
    monkeypatch.chdir(tmp_path)
    assert "unknown task 'photos'" in str(validate(results, seeds=1).faults[0])
    for call in (
        lambda: score(results),
        lambda: plot_curves(results, tmp_path / "c.png"),
        lambda: plot_locations(results, tmp_path / "l.png"),
        lambda: plot_bars(results, tmp_path / "b.png"),
        lambda: pack(results, tmp_path / "packed"),
        lambda: verify(results / f"{run.name}.json"),
    ):
        with pytest.raises(NogsError, match="photos"):
            call()
    assert "photos" not in TASKS.names()


def test_only_what_a_user_says_is_looked_up_as_a_task():
    """`get_task` opens and runs what it is told: never a field of a result or a record."""
    found = 0
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_task"):
                found += 1
                told = ast.unparse(node.args[0])
                assert not re.search(r"\.task|['\"]task['\"]", told), f"{path}: {told}"
    assert found > 10
