"""StyleGAN: the public layouts' names and shapes, and each block against its own arithmetic."""

from math import sqrt

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.ndimage import convolve

from nogs_bench.builders.generators.stylegan import network
from nogs_bench.builders.generators.stylegan.generator import StyleGan
from nogs_bench.builders.generators.stylegan.layout import LAYOUTS, read_stylegan
from nogs_bench.errors import NogsError
from tiny import corner_task

FULL = (512, 512, 512, 512, 256, 128, 64, 32, 16)
SMALL = (6, 5, 4, 3, 3, 2)


def lernapparat_table(channels, latent):
    """Names and shapes of a `for_g_all.pt` file, buffers included, as its notebook builds them."""
    table = {}
    for layer in range(8):
        table[f"g_mapping.dense{layer}.weight"] = (latent, latent)
        table[f"g_mapping.dense{layer}.bias"] = (latent,)
    for block, (before, c) in enumerate(zip((None, *channels), channels, strict=False)):
        at = f"g_synthesis.blocks.{2 ** (block + 2)}x{2 ** (block + 2)}"
        if block == 0:
            table |= {f"{at}.const": (1, c, 4, 4), f"{at}.bias": (c,)}
            table |= {f"{at}.conv.weight": (c, c, 3, 3), f"{at}.conv.bias": (c,)}
        else:
            table |= {f"{at}.conv0_up.weight": (c, before, 3, 3), f"{at}.conv0_up.bias": (c,)}
            table |= {f"{at}.conv0_up.intermediate.kernel": (1, 1, 3, 3)}
            table |= {f"{at}.conv1.weight": (c, c, 3, 3), f"{at}.conv1.bias": (c,)}
        for epilogue in ("epi1", "epi2"):
            table[f"{at}.{epilogue}.top_epi.noise.weight"] = (c,)
            table[f"{at}.{epilogue}.style_mod.lin.weight"] = (2 * c, latent)
            table[f"{at}.{epilogue}.style_mod.lin.bias"] = (2 * c,)
    table["g_synthesis.torgb.weight"] = (3, channels[-1], 1, 1)
    table["g_synthesis.torgb.bias"] = (3,)
    return table


def rosinality_table(channels, latent):
    """Names and shapes of the table `g_running` of a training checkpoint, all of it."""
    table = {}
    for layer in range(1, 17, 2):
        table[f"style.{layer}.linear.bias"] = (latent,)
        table[f"style.{layer}.linear.weight_orig"] = (latent, latent)
    for block, (before, c) in enumerate(zip((None, *channels), channels, strict=False)):
        at = f"generator.progression.{block}"
        if block == 0:
            table[f"{at}.conv1.input"] = (1, c, 4, 4)
        elif block < 5:
            table[f"{at}.conv1.1.conv.weight_orig"] = (c, before, 3, 3)
            table[f"{at}.conv1.1.conv.bias"] = (c,)
            table |= {f"{at}.conv1.2.{n}": (c, 1, 3, 3) for n in ("weight", "weight_flip")}
        else:
            table |= {f"{at}.conv1.0.weight": (before, c, 3, 3), f"{at}.conv1.0.bias": (c,)}
            table |= {f"{at}.conv1.1.{n}": (c, 1, 3, 3) for n in ("weight", "weight_flip")}
        table[f"{at}.conv2.conv.weight_orig"] = (c, c, 3, 3)
        table[f"{at}.conv2.conv.bias"] = (c,)
        for half in (1, 2):
            table[f"{at}.noise{half}.weight_orig"] = (1, c, 1, 1)
            table[f"{at}.adain{half}.style.linear.weight_orig"] = (2 * c, latent)
            table[f"{at}.adain{half}.style.linear.bias"] = (2 * c,)
        table[f"generator.to_rgb.{block}.conv.weight_orig"] = (3, c, 1, 1)
        table[f"generator.to_rgb.{block}.conv.bias"] = (3,)
    return table


TABLES = {"lernapparat": lernapparat_table, "rosinality": rosinality_table}


def random_weights(table, seed=0):
    stream = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=stream) for name, shape in table.items()}


@pytest.mark.parametrize("name", TABLES)
def test_layout_names_every_tensor_of_the_public_checkpoint(name):
    public = TABLES[name](FULL, 512)
    entries = {entry.name: entry.shape for entry in LAYOUTS[name].entries(FULL, 512)}
    assert entries.items() <= public.items()
    unread = set(public) - set(entries)
    # Filters that are constants, and the outputs of lower resolutions.
    assert {key.rsplit(".", 1)[1] for key in unread if "to_rgb" not in key} <= {
        "kernel",
        "weight",
        "weight_flip",
    }
    assert all(public[key][-2:] == (3, 3) for key in unread if "to_rgb" not in key)
    assert {key.split(".")[2] for key in unread if "to_rgb" in key} <= set("01234567")


@pytest.mark.parametrize("name", TABLES)
def test_every_parameter_comes_from_the_checkpoint(name):
    wanted = set(network.StyleGanNetwork(SMALL, 8).state_dict())
    assert {entry.parameter for entry in LAYOUTS[name].entries(SMALL, 8)} == wanted


def test_pixel_norm_makes_the_mean_square_one():
    x = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32) * 5
    expected = x / np.sqrt((x**2).mean(1, keepdims=True))
    np.testing.assert_allclose(network.pixel_norm(torch.from_numpy(x)), expected, rtol=1e-5)


def test_blur_is_the_binomial_filter():
    x = np.random.default_rng(1).normal(size=(2, 3, 6, 5)).astype(np.float32)
    kernel = np.outer([1, 2, 1], [1, 2, 1])[None, None] / 16
    expected = convolve(x, kernel, mode="constant")
    np.testing.assert_allclose(network.blur(torch.from_numpy(x)), expected, atol=1e-6)


def correlate(x, weight):
    """3 x 3 cross-correlation with zero padding, by its definition."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = x.shape[2:]
    out = np.zeros((len(x), len(weight), height, width))
    for row in range(3):
        for col in range(3):
            seen = padded[:, :, row : row + height, col : col + width]
            out += np.einsum("nihw,oi->nohw", seen, weight[:, :, row, col])
    return out


@pytest.mark.parametrize(("size", "turned"), [(4, False), (64, True)])
def test_upscaled_convolution_is_nearest_then_convolution(size, turned):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1, 2, size, size)).astype(np.float32)
    weight = rng.normal(size=(3, 2, 3, 3)).astype(np.float32)
    larger = x.repeat(2, axis=2).repeat(2, axis=3)
    expected = correlate(larger, weight[:, :, ::-1, ::-1] if turned else weight)
    found = network.upscaled_convolution(torch.from_numpy(x), torch.from_numpy(weight))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_adaptive_norm_sets_each_channels_mean_and_deviation():
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3)) * 4 + 1
    style = torch.tensor([[2.0, 0.5, 1, 10, -10, 0], [1, 1, 3, 0, 5, 1]])
    found = network.adaptive_norm(x, style).numpy()
    np.testing.assert_allclose(found.mean((2, 3)), style[:, 3:], atol=1e-4)
    np.testing.assert_allclose(found.std((2, 3)), style[:, :3], rtol=1e-4)


def test_layer_is_noise_then_leaky_relu_then_adain():
    layer = network.Layer(2, 3)
    torch.nn.init.normal_(layer.noise, generator=torch.Generator().manual_seed(4))
    rng = np.random.default_rng(5)
    x, noise = rng.normal(size=(1, 2, 5, 5)), rng.normal(size=(1, 1, 5, 5))
    style = rng.normal(size=(1, 3))
    inside = x + layer.noise.detach().numpy()[:, None, None] * noise
    inside = np.where(inside > 0, inside, 0.2 * inside)
    mean, variance = inside.mean((2, 3), keepdims=True), inside.var((2, 3), keepdims=True)
    affine = style @ layer.style.weight.detach().numpy().T + layer.style.bias.detach().numpy()
    scale, shift = affine[:, :2, None, None], affine[:, 2:, None, None]
    expected = scale * (inside - mean) / np.sqrt(variance + 1e-5) + shift
    found = layer(*(torch.from_numpy(a).float() for a in (x, style, noise)))
    np.testing.assert_allclose(found.detach(), expected, atol=1e-5)


def test_lernapparat_constants(tmp_path):
    """Equalised learning rate, by hand: each stored 1 acts as its constant."""
    table = lernapparat_table(SMALL, 8)
    weights = {name: torch.ones(shape) for name, shape in table.items()}
    save_file(weights, tmp_path / "g.safetensors")
    read, layout = read_stylegan(tmp_path / "g.safetensors")
    assert layout == "lernapparat"
    assert read.size == 128
    values = {name: value.unique().tolist() for name, value in read.state_dict().items()}
    assert values["mapping.3.weight"] == pytest.approx([0.01 * sqrt(2) / sqrt(8)])
    assert values["mapping.3.bias"] == pytest.approx([0.01])
    assert values["first.constant"] == [2]
    assert values["first.conv.weight"] == pytest.approx([sqrt(2) / sqrt(6 * 9)])
    assert values["blocks.0.up.weight"] == pytest.approx([sqrt(2) / sqrt(6 * 9)])
    assert values["blocks.1.conv.weight"] == pytest.approx([sqrt(2) / sqrt(4 * 9)])
    assert values["blocks.0.layer1.style.weight"] == pytest.approx([1 / sqrt(8)])
    assert read.blocks[0].layer1.style.bias.tolist() == [2] * 5 + [1] * 5
    assert values["rgb.weight"] == pytest.approx([1 / sqrt(2)])


def test_rosinality_constants(tmp_path):
    table = rosinality_table(SMALL, 8)
    torch.save(
        {
            "generator": {"unused": torch.zeros(1)},
            "g_running": {name: torch.ones(shape) for name, shape in table.items()},
            "g_optimizer": {"state": {}, "param_groups": [{"lr": 0.001}]},
        },
        tmp_path / "train_step-6.model",
    )
    read, layout = read_stylegan(tmp_path / "train_step-6.model")
    assert (layout, read.one_noise) == ("rosinality", True)
    values = {name: value.unique().tolist() for name, value in read.state_dict().items()}
    assert values["mapping.0.weight"] == pytest.approx([sqrt(2 / 8)])
    assert values["mapping.0.bias"] == [1]
    assert values["first.constant"] == [1]
    assert values["first.layer1.noise"] == pytest.approx([sqrt(2 / 6)])
    assert values["blocks.0.up.weight"] == pytest.approx([sqrt(2 / (9 * 6))])
    assert values["blocks.4.up.weight"] == pytest.approx([sqrt(2 / (9 * 3)) / 4])
    assert values["blocks.0.layer2.style.weight"] == pytest.approx([sqrt(2 / 8)])
    assert values["blocks.0.layer2.style.bias"] == [1]
    assert values["rgb.weight"] == pytest.approx([sqrt(2 / 2)])


def test_fused_weights_of_rosinality_are_stored_transposed(tmp_path):
    weights = random_weights(rosinality_table(SMALL, 8))
    save_file(weights, tmp_path / "g.safetensors")
    read, _ = read_stylegan(tmp_path / "g.safetensors")
    stored = weights["generator.progression.5.conv1.0.weight"]
    expected = stored.transpose(0, 1) * sqrt(2 / 27) / 4
    torch.testing.assert_close(read.blocks[4].up.weight, expected)


def test_size_leaves_out_blocks_and_takes_their_own_output(tmp_path):
    weights = random_weights(rosinality_table(SMALL, 8))
    save_file(weights, tmp_path / "g.safetensors")
    read, _ = read_stylegan(tmp_path / "g.safetensors", size=16)
    assert read.size == 16
    expected = weights["generator.to_rgb.2.conv.weight_orig"] * sqrt(2 / 4)
    torch.testing.assert_close(read.rgb.weight, expected)
    with pytest.raises(NogsError, match="images of 4, 8, 16, 32, 64, 128 pixels, not 100"):
        read_stylegan(tmp_path / "g.safetensors", size=100)


def test_blocks_that_were_never_trained_are_left_out(tmp_path, capsys):
    """As a checkpoint at 32 pixels of code that makes all blocks at once: the rest has begun only,
    random convolutions, but biases and gains of the noise at 0."""
    weights = random_weights(rosinality_table(SMALL, 8))
    for name, value in weights.items():
        untouched = name.startswith(("generator.progression.4", "generator.progression.5"))
        if untouched and ("noise" in name or ("conv" in name and name.endswith("bias"))):
            weights[name] = torch.zeros_like(value)
    save_file(weights, tmp_path / "g.safetensors")
    read, _ = read_stylegan(tmp_path / "g.safetensors")
    assert read.size == 32
    expected = weights["generator.to_rgb.3.conv.weight_orig"] * sqrt(2 / SMALL[3])
    torch.testing.assert_close(read.rgb.weight, expected)
    assert "above 32 pixels were never trained" in capsys.readouterr().err
    assert read_stylegan(tmp_path / "g.safetensors", size=128)[0].size == 128


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "g.safetensors"
    save_file(random_weights(lernapparat_table(SMALL[:3], 8)), path)
    return path


def test_any_range_gives_the_same_images(file):
    generator = StyleGan(file, corner_task(), "cpu")
    whole = generator.sample(1, 0, 21)
    assert whole.images.shape == (21, 1, 12, 12)
    assert (whole.labels == -1).all()
    np.testing.assert_array_equal(generator.sample(1, 5, 13).images, whole.images[5:18])
    np.testing.assert_array_equal(generator.sample(1, 20, 1).images, whole.images[20:])
    assert (generator.sample(2, 0, 21).images != whole.images).any()
    assert (whole.images[0] != whole.images[1]).any()


def test_truncation_moves_early_styles_towards_their_mean(file):
    full, half, none = (StyleGan(file, corner_task(), "cpu", psi) for psi in (1.0, 0.5, 0.0))
    z = torch.randn(3, 8, generator=torch.Generator().manual_seed(6))
    torch.testing.assert_close(full.styles(z), full.network.map(z)[:, None].expand(-1, 6, -1))
    torch.testing.assert_close(half.styles(z), (full.styles(z) + full.centre) / 2)
    torch.testing.assert_close(none.styles(z), full.centre.expand(3, 6, -1))


def test_all_layers_are_truncated_if_asked(tmp_path):
    path = tmp_path / "g.safetensors"
    save_file(random_weights(lernapparat_table(SMALL, 8)), path)
    early, every = (
        StyleGan(path, corner_task(), "cpu", 0.0, truncated=where) for where in ("early", "all")
    )
    z = torch.randn(3, 8, generator=torch.Generator().manual_seed(6))
    same = (early.styles(z) == early.centre).all(-1).all(0)
    assert same.tolist() == [True] * 8 + [False] * 4
    torch.testing.assert_close(every.styles(z), every.centre.expand(3, 12, -1))
    with pytest.raises(NogsError, match="truncated must be one of early, all"):
        StyleGan(path, corner_task(), "cpu", truncated="late")


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_or_misshapen_tensor_is_named(tmp_path, name):
    path = tmp_path / "g.safetensors"
    weights = random_weights(TABLES[name](SMALL[:2], 8))
    key = [entry.name for entry in LAYOUTS[name].entries(SMALL[:2], 8)][-1]
    save_file({**weights, key: torch.zeros(4)}, path)
    with pytest.raises(NogsError, match=rf"{key} has shape \(4,\), expected \(3,\)"):
        read_stylegan(path)
    del weights[key]
    save_file(weights, path)
    with pytest.raises(NogsError, match=f"has no {key}"):
        read_stylegan(path)
