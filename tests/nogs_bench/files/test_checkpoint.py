from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from nogs_bench.errors import NogsError
from nogs_bench.files.checkpoint import load_checkpoint, resumed, save_checkpoint


def _step(net: nn.Module, optimiser: torch.optim.Optimizer, x: torch.Tensor) -> None:
    optimiser.zero_grad()
    net(x).square().sum().backward()
    optimiser.step()


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_an_optimiser_restored_from_a_file_continues_as_the_undisturbed_one(tmp_path, kind):
    torch.manual_seed(0)
    net, x = nn.Linear(3, 2), torch.randn(5, 3)
    optimiser = kind(net.parameters(), lr=0.1)
    _step(net, optimiser, x)
    save_checkpoint(
        tmp_path / "a.safetensors",
        {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "iteration": 1},
    )

    other = nn.Linear(3, 2)
    resumed = kind(other.parameters(), lr=0.5)
    state = load_checkpoint(tmp_path / "a.safetensors")
    other.load_state_dict(state["net"])
    resumed.load_state_dict(state["optimiser"])
    assert state["iteration"] == 1
    for _ in range(3):
        _step(net, optimiser, x)
        _step(other, resumed, x)
    assert torch.equal(net.weight, other.weight)


def test_a_generator_restored_from_a_file_draws_on_where_it_stopped(tmp_path):
    generator = torch.Generator().manual_seed(3)
    torch.rand(7, generator=generator)
    save_checkpoint(tmp_path / "g.safetensors", {"generator": generator.get_state()})
    expected = torch.rand(4, generator=generator)
    fresh = torch.Generator()
    fresh.set_state(load_checkpoint(tmp_path / "g.safetensors")["generator"])
    assert torch.equal(torch.rand(4, generator=fresh), expected)


def test_nesting_types_and_shared_tensors_survive(tmp_path):
    shared = torch.arange(6).reshape(2, 3)
    state = {
        "t": shared,
        "view": shared.T,
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "empty": torch.empty(0, 4),
        "plain": [1, 2.5, "x", None, True, ("a", {7: [shared]})],
    }
    save_checkpoint(tmp_path / "s.safetensors", state)
    loaded = load_checkpoint(tmp_path / "s.safetensors")
    assert list(loaded) == list(state)
    for name in ("t", "view", "scalar", "half", "empty"):
        assert loaded[name].dtype == state[name].dtype
        assert torch.equal(loaded[name], state[name])
        assert loaded[name].stride() == state[name].stride()
    assert loaded["plain"][:5] == state["plain"][:5]
    name, inner = loaded["plain"][5]
    assert name == "a"
    assert torch.equal(inner[7][0], shared)


def test_equal_states_make_equal_bytes(tmp_path):
    state = {f"p{i}": torch.full((3,), float(i)) for i in range(20)}
    for name in ("a", "b"):
        save_checkpoint(tmp_path / name, state)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flip_last(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("damage", [_cut, _flip_last, lambda _: b"", lambda _: b"{}" * 40])
def test_a_damaged_file_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, {"w": torch.randn(50)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(NogsError, match=r"c\.safetensors is damaged"):
        load_checkpoint(path)


def test_a_plain_value_that_was_altered_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    state = {"w": torch.ones(2), "iteration": 4000, "loss": float("nan"), "at": ("é", {3: 0.1})}
    save_checkpoint(path, state)
    whole = path.read_bytes()
    assert str(load_checkpoint(path)) == str(state)
    assert whole.count(b"4000") == whole.count(b"0.1") == 1
    for said, other in ((b"4000", b"7000"), (b"0.1", b"0.2")):
        path.write_bytes(whole.replace(said, other))
        with pytest.raises(NogsError, match=r"c\.safetensors is damaged"):
            load_checkpoint(path)
    assert resumed(path) is None
    assert not path.exists()


def test_a_file_from_before_the_tree_had_a_digest_loads(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    # The sha256 of "w torch.float32 (2,);" and the bytes of 1.0 and 2.0, least significant first.
    said = b"w torch.float32 (2,);" + bytes.fromhex("0000803f00000040")
    record = {
        "format": 1,
        "sha256": hashlib.sha256(said).hexdigest(),
        "tree": ["dict", [["w", ["tensor", "w"]], ["iteration", 4000]]],
    }
    path = tmp_path / "old.safetensors"
    save_file({"w": torch.tensor([1.0, 2.0])}, path, metadata={"checkpoint": json.dumps(record)})
    assert load_checkpoint(path)["iteration"] == 4000


def test_a_missing_or_foreign_file_is_refused(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(NogsError, match="no checkpoint"):
        load_checkpoint(tmp_path / "nothing")
    save_file({"w": torch.ones(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(NogsError, match="foreign"):
        load_checkpoint(tmp_path / "foreign.safetensors")


def test_an_unknown_type_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(TypeError, match="/x/0: a checkpoint cannot hold a set"):
        save_checkpoint(tmp_path / "d.safetensors", {"x": [{1}]})
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_never_deleted(tmp_path: Path) -> None:
    """Safetensors opens a path twice: it could take two files for one, and call it damaged."""
    path, stop = tmp_path / "c.safetensors", threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            value = torch.full((1 + number % 7, 50), float(number))
            save_checkpoint(path, {"number": number, "value": value})

    save_checkpoint(path, {"number": 0, "value": torch.zeros(1, 50)})
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(400):
            state = resumed(path)
            assert state is not None
            assert (state["value"] == state["number"]).all()
    finally:
        stop.set()
        writer.join()


def test_what_came_in_a_damaged_one_s_place_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nogs_bench.files import checkpoint

    path, decode = tmp_path / "c.safetensors", checkpoint._decoded
    path.write_bytes(b"damaged")

    def replaced(at: Path, content: bytes) -> dict:
        if content == b"damaged":
            save_checkpoint(path, {"number": 1})
        return decode(at, content)

    monkeypatch.setattr(checkpoint, "_decoded", replaced)
    assert resumed(path) == {"number": 1}
    assert path.is_file()
