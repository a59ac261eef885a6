"""Published ImageNet weights under timm's names."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from nogs_bench.builders.posterior.glimpse_networks import make_glimpse_network
from nogs_bench.cli import app
from nogs_bench.errors import NogsError
from nogs_bench.network import convert_weights
from nogs_bench.network.conversion import WHEEL, WHEEL_FILE
from nogs_bench.tasks.geometry import GlimpseGrid

NAME = "tf_efficientnet_lite0"


def test_names_are_mapped_as_the_layers_follow_each_other(tmp_path: Path) -> None:
    """The published table lists layers in their order, as timm's does: nothing else is needed to
    tell which is which."""
    folder = pytest.importorskip(WHEEL).__path__[0]
    published = torch.load(Path(folder, "models", WHEEL_FILE), weights_only=True)
    expected = dict(zip(timm.create_model(NAME).state_dict(), published.values(), strict=True))
    out = tmp_path / "w.safetensors"
    result = CliRunner().invoke(app, ["convert-weights", NAME, "--out", str(out)])
    assert result.exit_code == 0, result.output
    written = load_file(out)
    assert written.keys() == expected.keys()
    assert all(torch.equal(written[key], expected[key]) for key in expected)
    grid = GlimpseGrid.even(64, 16, 16)
    spec = f"timm:{NAME}@{out}"
    network = make_glimpse_network(spec, grid, 3, 7)
    stem = network.layers.backbone.conv_stem.weight
    assert torch.equal(stem[:, :3], expected["conv_stem.weight"])
    assert network.layers.mean.flatten().tolist() == [0.5] * 3
    # timm's other network of the same shapes pads differently.
    with pytest.raises(NogsError, match=f"are those of {NAME}, not of efficientnet_lite0"):
        make_glimpse_network(f"timm:efficientnet_lite0@{out}", grid, 3, 7)


def test_what_is_not_the_model_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "w.safetensors"
    with pytest.raises(NogsError, match="no weights"):
        convert_weights(NAME, out, tmp_path / "absent.pth")
    torch.save({"_conv_stem.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(NogsError, match=r"other\.pth: no conv_stem\.weight of shape \(32, 3"):
        convert_weights(NAME, out, tmp_path / "other.pth")
    torch.save({"model": torch.nn.Linear(1, 1)}, tmp_path / "code.pth")
    with pytest.raises(NogsError, match="holds more than tensors"):
        convert_weights(NAME, out, tmp_path / "code.pth")
    with pytest.raises(NogsError, match=r"write a \.safetensors file"):
        convert_weights(NAME, tmp_path / "w.pt")
    with pytest.raises(NogsError, match="known are tf_efficientnet_lite0"):
        convert_weights("resnet18", out)
    assert not out.exists()
