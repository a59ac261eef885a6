"""Files mutated from valid ones, and whatever reads them."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from corner_task import CORNER, write_maps, write_sequences
from nogs_bench.builders.bank.images import open_bank
from nogs_bench.builders.estimate.cost import read_rates
from nogs_bench.builders.posterior.reliability import read_calibration
from nogs_bench.builders.prepare.celeba_labels import read_attributes
from nogs_bench.builders.prepare.raw import read_npy
from nogs_bench.builders.released.archive import read_released
from nogs_bench.builders.search.shards import Shard
from nogs_bench.errors import NogsError
from nogs_bench.files.artefact import digest_file
from nogs_bench.files.checkpoint import load_checkpoint, save_checkpoint
from nogs_bench.files.store import Mirror
from nogs_bench.images.folder import ImageFolder
from nogs_bench.images.idx import read_idx
from nogs_bench.images.prepared import open_array, read_record
from nogs_bench.leaderboard.validation import validate
from nogs_bench.network.weights import load_weights
from nogs_bench.results.storage import load_result, save_result
from nogs_bench.sequences.annotations import load_annotations
from nogs_bench.sequences.finding import check_digests
from nogs_bench.tasks.families.celeba_hq import ATTRIBUTES
from nogs_bench.tasks.handcrafted import read_keypoints
from nogs_bench.tasks.task import get_task
from nogs_bench.training.heuristic import first_step_map
from results import run_result

INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63, 2**64 - 1)
STRINGS = ("../../x", "/etc/passwd", "\x00", "NaN", "-1e999", "9" * 400, "[" * 300, "é" * 50, "")


@dataclass(frozen=True)
class Target:
    """A file that is mutated, and what reads the folder that it is in.

    - `write` writes the valid folder; `file`: the one to mutate, below it.
    """

    name: str
    file: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """`content` with one to four faults."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        content = chance.choice(MUTATIONS)(content, chance)
    return content


def _flip(content: bytes, chance: random.Random) -> bytes:
    if not content:
        return b"\x01"
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _drop(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[at + chance.randrange(1, 65) :]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[at : at + chance.randrange(1, 257)] + content[at:]


def _number(content: bytes, chance: random.Random) -> bytes:
    size = chance.choice((1, 2, 4, 8))
    value = chance.choice(INTERESTING) % 2 ** (8 * size)
    at = chance.randrange(len(content) + 1)
    return (
        content[:at] + value.to_bytes(size, chance.choice(("little", "big"))) + content[at + size :]
    )


def _noise(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    made = chance.randbytes(chance.randrange(1, 33))
    return content[:at] + made + content[at + len(made) :]


def _word(content: bytes, chance: random.Random) -> bytes:
    """A run of letters or digits becomes something else."""
    text = content.decode("latin-1")
    at = chance.randrange(len(text) + 1)
    end = at
    while end < len(text) and text[end].isalnum():
        end += 1
    return (text[:at] + chance.choice(STRINGS) + text[end:]).encode("latin-1", "replace")


def _value(content: bytes, chance: random.Random) -> bytes:
    """A value or a key somewhere in JSON becomes something else."""
    try:
        tree = json.loads(content)
    except ValueError:
        return _word(content, chance)
    node = tree
    while isinstance(node, dict | list) and node:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = chance.choice(keys)
        if chance.random() < 0.4 or not isinstance(node[key], dict | list):
            others = (None, True, -1, 1e308, 10**30, [], {}, [[1]], "x", *STRINGS)
            change = chance.randrange(3)
            if change == 0 and isinstance(node, dict):
                del node[key]
            elif change == 1 and isinstance(node, dict):
                node[chance.choice(STRINGS)] = node.pop(key)
            else:
                node[key] = chance.choice(others)
            break
        node = node[key]
    return json.dumps(tree).encode("utf-8", "surrogatepass")


MUTATIONS = (_flip, _flip, _cut, _drop, _repeat, _number, _noise, _word, _value, _value)


def _tar(folder: Path, mode: str) -> None:
    with tarfile.open(folder / "a.tar", mode) as tar:
        for name, lines in (
            ("celebhq/0/0.txt", "0, 4\n" * 5),
            ("../celebhq/0/1.txt", "0, 4\n" * 5),
            ("birds/0.txt", "0, 8\n" * 5 + "x/3.png\n"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(lines)
            tar.addfile(member, io.BytesIO(lines.encode()))


def _idx(folder: Path, zipped: bool) -> None:
    content = bytes((0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6)) + bytes(range(120))
    (folder / "a.gz").write_bytes(gzip.compress(content) if zipped else content)
    (folder / "a.idx").write_bytes(content)


def _checkpoint(folder: Path) -> None:
    state = {"step": 3, "w": torch.arange(6.0).view(2, 3).t(), "l": [1.5, None, ("a", {2: True})]}
    save_checkpoint(folder / "c.safetensors", state)


def _shard(folder: Path) -> None:
    from nogs_bench.builders.search.annotate import Sequences

    arrays = [np.zeros((3, 1, 2)) for _ in range(5)]
    Shard(folder, 0, 3, Mirror(folder)).write(Sequences(*arrays, np.zeros(3)))


def _read_shard(folder: Path) -> None:
    shard = Shard(folder, 0, 3, Mirror(folder))
    if not shard.sound():
        raise NogsError("damaged: made again")
    shard.read()


def _board(folder: Path) -> None:
    report = validate(folder)
    if not report.valid:
        raise NogsError(report.faults[0].message)


def _bank(folder: Path) -> None:
    from types import SimpleNamespace

    from nogs_bench.builders.bank.images import make_bank
    from tiny import corner_images

    images = corner_images(0, 5)
    sample = lambda seed, start, count: images[slice(start, start + count)]  # noqa: E731
    make_bank(SimpleNamespace(config={}, sample=sample), folder / "bank", 0, 5)


def _record(folder: Path) -> None:
    rows = write_sequences(folder) / "annotations" / "train.parquet"
    bins = {"count": [1] * 10, "confidence": [0.5] * 10, "accuracy": [0.5] * 10}
    record = {
        "task": "corner",
        "files": {"annotations/train.parquet": digest_file(rows)},
        "calibration": {"reliability": [bins], "expected_calibration_error": [0.1]},
    }
    (folder / "provenance.json").write_text(json.dumps(record))
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: annotations\n  default: true\n  data_files:\n"
        "  - split: train\n    path: annotations/train.parquet\n---\n\n# Corner\n"
    )


def _picture(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        for number in range(6):
            Image.fromarray(np.full((9, 8, 3), 20 * number, np.uint8)).save(
                folder / name / f"{number}.png"
            )


def _pictures(folder: Path) -> None:
    source = ImageFolder(folder, 8, validation=0.2, test=0.2, avp_validation=0.2)
    for split in ("train", "validation", "test", "avp_validation"):
        source.load(split)


def _prepared(folder: Path) -> None:
    record = {"dataset": "celeba-hq", "count": 2, "splits": {"train": [0, 2]}, "digests": {}}
    (folder / "prepared.json").write_text(json.dumps(record))
    np.save(folder / "images.npy", np.zeros((2, 3, 4, 4), np.uint8))
    np.save(folder / "image.npy", np.zeros((4, 4, 3), np.uint8))


def _attributes(folder: Path) -> None:
    rows = [f"{number}.jpg {'1 -1 ' * 20}" for number in range(2)]
    (folder / "a.txt").write_text("\n".join(["2", " ".join(ATTRIBUTES), *rows, ""]))


def _task(folder: Path) -> None:
    (folder / "task.py").write_text(
        "from dataclasses import replace\n"
        "from nogs_bench import GlimpseGrid, get_task\n"
        "grid = GlimpseGrid.even(image_size=28, glimpse_size=3, stride=1)\n"
        "MINE = replace(get_task('fashion-mnist'), name='mine', T=3, grid=grid)\n"
    )


def _weights(folder: Path, suffix: str) -> None:
    tensors = {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(3)}
    if suffix == "safetensors":
        (folder / "w.safetensors").write_bytes(save(tensors))
    else:
        torch.save(tensors, folder / "w.pt")


TARGETS = (
    Target(
        "result",
        "*.json",
        lambda f: save_result(run_result(), f),
        lambda f: load_result(next(f.glob("*.json"))),
    ),
    Target("board", "*.json", lambda f: save_result(run_result(), f), _board),
    Target(
        "sequences",
        "annotations/train.parquet",
        write_sequences,
        lambda f: load_annotations(CORNER, f),
    ),
    Target(
        "maps",
        "maps/train.parquet",
        lambda f: write_maps(f, np.arange(9.0)),
        lambda f: first_step_map(CORNER, f),
    ),
    Target("provenance", "provenance.json", _record, lambda f: check_digests(f, None, str(f))),
    Target("calibration", "provenance.json", _record, read_calibration),
    Target("tar", "a.tar", lambda f: _tar(f, "w"), lambda f: read_released(f / "a.tar")),
    Target("tar.gz", "a.tar", lambda f: _tar(f, "w:gz"), lambda f: read_released(f / "a.tar")),
    Target("idx", "a.idx", lambda f: _idx(f, False), lambda f: read_idx(f / "a.idx", (4, 5, 6))),
    Target("idx.gz", "a.gz", lambda f: _idx(f, True), lambda f: read_idx(f / "a.gz", (4, 5, 6))),
    Target(
        "checkpoint", "c.safetensors", _checkpoint, lambda f: load_checkpoint(f / "c.safetensors")
    ),
    Target("shard", "0000000.safetensors", _shard, _read_shard),
    Target("bank", "bank/settings.json", _bank, lambda f: open_bank(f / "bank")),
    Target("bank images", "bank/0000000.npy", _bank, lambda f: open_bank(f / "bank")),
    Target("picture", "a/0.png", _picture, _pictures),
    Target("prepared", "prepared.json", _prepared, read_record),
    Target(
        "npy",
        "images.npy",
        _prepared,
        lambda f: open_array(f / "images.npy"),
    ),
    Target("image", "image.npy", _prepared, lambda f: read_npy(f / "image.npy")),
    Target("card", "README.md", _record, lambda f: check_digests(f, None, str(f))),
    Target(
        "keypoints",
        "k.npy",
        lambda f: np.save(f / "k.npy", np.ones((9, 3, 2))),
        lambda f: read_keypoints(f / "k.npy", CORNER, 9),
    ),
    Target("attributes", "a.txt", _attributes, lambda f: read_attributes(f / "a.txt", 2)),
    Target("task", "task.py", _task, lambda f: get_task(f"{f}/task.py:MINE")),
    Target(
        "rates",
        "r.json",
        lambda f: (f / "r.json").write_text('{"hardware": "x", "device": "cpu"}'),
        lambda f: read_rates(f / "r.json"),
    ),
    Target(
        "weights",
        "w.safetensors",
        lambda f: _weights(f, "safetensors"),
        lambda f: load_weights(f / "w.safetensors"),
    ),
    Target("torch", "w.pt", lambda f: _weights(f, "pt"), lambda f: load_weights(f / "w.pt")),
)


class Folder:
    """A target's valid folder, and one mutation after the other of its file."""

    def __init__(self, target: Target, parent: Path):
        self.target, self.folder = target, parent / target.name.replace(" ", "-")
        self.folder.mkdir()
        target.write(self.folder)
        (self.path,) = self.folder.glob(target.file)
        self.valid = self.path.read_bytes()

    def spoil(self, chance: random.Random) -> None:
        """As a new file: what has read the last one may have mapped it."""
        self.path.unlink()
        self.path.write_bytes(mutated(self.valid, chance))

    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*"))

    def remove(self) -> None:
        shutil.rmtree(self.folder)
