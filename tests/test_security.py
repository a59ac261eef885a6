"""What may read files of others: nothing that unpickles, runs or unpacks them."""

from __future__ import annotations

import ast
import importlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from nogs_bench.errors import NogsError
from nogs_bench.files.npy import read_array
from nogs_bench.network.weights import load_weights
from nogs_bench.sequences import loading

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
    record = f'{{"task": "{tmp_path}/evil.py:TASK", "files": {{}}}}'
    (tmp_path / "provenance.json").write_text(record)
    with pytest.raises(NogsError, match="not registered"):
        loading._task_name(tmp_path)
    assert not (tmp_path / "ran").exists()
