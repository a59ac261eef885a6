"""The embedder that starts from how a dataset's AVP looks at a glimpse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import small_dataset
from nogs_bench.builders.dataset.folder import write_dataset
from nogs_bench.builders.dataset.posterior import Networks
from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.errors import NogsError
from nogs_bench.network import make_embedder
from nogs_bench.tasks.geometry import GlimpseGrid
from small_dataset import QUALITY, ROWS, TASK, write


def dataset(out: Path, network: str) -> tuple[Path, Avp]:
    torch.manual_seed(1)
    task = replace(TASK, avp=replace(TASK.avp, network=network))
    avp = Avp(task).eval()
    folder = write_dataset(
        task,
        out,
        **ROWS,
        annotations=small_dataset.annotations(),
        provenance={"seed": 0},
        quality=QUALITY,
        origin="made by a test",
        posterior=Networks([avp.state_dict()]),
    )
    return folder, avp


@pytest.mark.parametrize("network", ["patch-sum:16x1", "patch-attention:16x1"])
def test_it_looks_as_the_avp_does(tmp_path: Path, network: str) -> None:
    folder, avp = dataset(tmp_path / "d", network)
    embedder = make_embedder(f"avp:{folder}", TASK, 5).eval()
    images = torch.from_numpy(ROWS["test"].images[:4])
    side = TASK.glimpse_size
    glimpses = images[..., :side, :side]
    looked = avp.get_submodule("network.look")(glimpses.float() / 63.75 - 2).relu()
    linear = embedder.get_submodule("linear")
    expected = linear(looked)
    torch.testing.assert_close(embedder(glimpses.float() / 255), expected, atol=1e-5, rtol=1e-5)
    assert expected.shape == (4, 5)
    assert all(parameter.requires_grad for parameter in embedder.parameters())


def test_datasets_without_such_an_avp_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NogsError, match=r"provenance\.json cannot be read"):
        make_embedder(f"avp:{tmp_path}", TASK, 5)
    with pytest.raises(NogsError, match="holds no posterior network"):
        make_embedder(f"avp:{write(tmp_path / 'a')}", TASK, 5)
    local, _ = dataset(tmp_path / "b", TASK.avp.network)
    with pytest.raises(NogsError, match="does not look at glimpses"):
        make_embedder(f"avp:{local}", TASK, 5)
    folder, _ = dataset(tmp_path / "c", "patch-sum:16x1")
    larger = replace(TASK, grid=GlimpseGrid.even(48, 24, 8))
    with pytest.raises(NogsError, match="for glimpses of 24 pixels"):
        make_embedder(f"avp:{folder}", larger, 5)
    path = folder / "posterior" / "weights-0.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    assert json.loads((folder / "provenance.json").read_text())["posterior"]
    with pytest.raises(NogsError, match="not the file that the dataset records"):
        make_embedder(f"avp:{folder}", TASK, 5)
