"""The first 12 convolutions of VGG-16, against timm's whole one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from corner_task import CORNER
from nogs_bench.errors import NogsError
from nogs_bench.network.embedders import IMAGENET_MEAN, IMAGENET_STD, VggEmbedder, make_embedder
from nogs_bench.tasks.geometry import GlimpseGrid

COLOUR = replace(CORNER, channels=3, grid=GlimpseGrid.even(128, 32, 8))
with torch.device("meta"):
    WHOLE = timm.create_model("vgg16")


@pytest.fixture(scope="module")
def embedder() -> VggEmbedder:
    made = make_embedder("vgg16-12", COLOUR, 7)
    assert isinstance(made, VggEmbedder)
    return made.eval()


def test_twelve_convolutions_with_timm_s_names_and_shapes(embedder):
    convolutions = [layer for layer in embedder.features if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 12
    whole = [layer for layer in WHOLE.features if isinstance(layer, nn.Conv2d)]
    assert len(whole) == 13
    theirs = {name: tuple(value.shape) for name, value in WHOLE.state_dict().items()}
    ours = {n: tuple(v.shape) for n, v in embedder.state_dict().items() if "features" in n}
    assert len(ours) == 24
    assert ours.items() <= theirs.items()
    # Layer for layer the same kinds, up to the ReLU after the twelfth.
    kinds = [type(layer) for layer in WHOLE.features][: len(embedder.features)]
    assert [type(layer) for layer in embedder.features] == kinds


def test_glimpses_of_32_pixels_and_smaller_ones(embedder):
    assert embedder.linear.in_features == 512 * 2 * 2
    with torch.no_grad():
        assert embedder(torch.rand(3, 3, 32, 32)).shape == (3, 7)
        small = make_embedder("vgg16-12", replace(CORNER, T=1), 5)
        assert small(torch.rand(2, 1, 4, 4)).shape == (2, 5)


def test_colours_are_normalised_as_for_imagenet(embedder):
    """An image of ImageNet's mean colour is a black one to a network without the normalisation."""
    mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    one_above = mean + torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    with torch.no_grad():
        for patch, value in ((mean, 0.0), (one_above, 1.0)):
            found = embedder(patch.expand(1, 3, 32, 32))
            plain = embedder.linear(embedder.features(torch.full((1, 3, 32, 32), value)).flatten(1))
            torch.testing.assert_close(found, plain)


def test_weights_come_from_a_local_file(embedder, tmp_path: Path):
    weights = {n: v.clone() for n, v in embedder.state_dict().items() if "features" in n}
    extra = {"features.28.weight": torch.zeros(1), "head.fc.weight": torch.zeros(1)}
    save_file(weights | extra, tmp_path / "vgg16.safetensors")
    loaded = make_embedder(f"vgg16-12:{tmp_path}/vgg16.safetensors", COLOUR, 7)
    for name, value in weights.items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_unfit_weights_are_refused(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(NogsError, match=r"must be an existing \.safetensors file"):
        make_embedder(f"vgg16-12:{path}", COLOUR, 7)
    path.write_bytes(b"not safetensors")
    with pytest.raises(NogsError, match="cannot be read as safetensors"):
        make_embedder(f"vgg16-12:{path}", COLOUR, 7)
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    with pytest.raises(NogsError, match=r"have no features\.0\.bias"):
        make_embedder(f"vgg16-12:{path}", COLOUR, 7)


def test_timm_s_weights_are_asked_for_only_by_name(monkeypatch):
    asked: list[tuple[str, bool]] = []

    def create_model(name: str, pretrained: bool) -> nn.Module:
        asked.append((name, pretrained))
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", create_model)
    make_embedder("vgg16-12", COLOUR, 7)
    assert asked == []
    with pytest.raises(NogsError, match=r"cannot be downloaded \(no network\)"):
        make_embedder("vgg16-12:timm", COLOUR, 7)
    assert asked == [("vgg16", True)]
