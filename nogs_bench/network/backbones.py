"""timm's networks: made, given weights that fit in name and kind, and told colours as they want."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from nogs_bench.errors import NogsError


def timm_backbone(name: str, weights: str, channels: int, size: int | None, outputs: int) -> Any:
    """timm's model for images of `channels`, with the weights that `weights` names.

    **Arguments**

    - `weights`: "" for random ones, "pretrained" for timm's own from the Hub, else a .safetensors
      file that holds every tensor but the last layer's. Where the file, or a `config.json` beside
      it, records an architecture, it must be `name`.
    - `size`: side of the images, pixels; None for what the model was made for.
    - `outputs`: of a new last layer; 0 leaves it out.

    Raises `NogsError` if timm has no such model, or the weights cannot be had or do not fit.
    """
    import timm

    if not timm.is_model(name):
        raise NogsError(f"timm has no model {name!r}; timm.list_models() lists them")
    options: dict[str, Any] = {"in_chans": channels, "num_classes": outputs}
    config = timm.models.get_pretrained_cfg(name)
    if size and config and config.fixed_input_size:
        options["img_size"] = size
    if weights:
        options["pretrained"] = True
    local = weights not in {"", "pretrained"}
    if local:
        if not (weights.endswith(".safetensors") and Path(weights).is_file()):
            raise NogsError(
                f"weights {weights} of {name} must be an existing .safetensors file; write "
                "timm:NAME@FILE.safetensors, or @pretrained to fetch timm's own"
            )
        _check_kind(name, Path(weights))
        options["pretrained_cfg_overlay"] = {"file": weights}
    try:
        backbone = timm.create_model(name, **options)
    except OSError as error:
        raise NogsError(
            f"timm's weights of {name} are out of reach ({type(error).__name__}); connect to the "
            "Hub, or give a local file as timm:NAME@FILE.safetensors"
        ) from error
    except KeyError as error:  # timm before 1.0.20 looks names up in the file
        raise NogsError(
            f"weights {weights} do not fit timm's {name}: they have no {error.args[0]}"
        ) from error
    except (RuntimeError, ValueError) as error:
        raise NogsError(
            f"timm's {name} with weights {weights!r} cannot be made: {_first_fault(error)}"
        ) from error
    if local:
        _check_weights(backbone, name, weights)
    return backbone


def normalisation(backbone: nn.Module, channels: int) -> dict[str, Tensor]:
    """`mean` and `std` that a backbone's weights expect, float (channels, 1, 1)."""
    config, values = cast(Any, backbone).pretrained_cfg, {}
    for statistic in ("mean", "std"):
        colours = torch.tensor(config[statistic])
        # Greys, and images of other kinds, are normalised by the mean over colours.
        each = colours if channels == len(colours) else colours.mean().expand(channels)
        values[statistic] = each.clone()[:, None, None]
    return values


def _first_fault(error: Exception) -> str:
    """An error in one line: of tensors that do not fit, which torch lists below a line that ends in
    a colon, the first."""
    first, *faults = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    if not faults or not first.endswith(":"):
        return first
    return faults[0] + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else "")


def _check_kind(name: str, weights: Path) -> None:
    """Shapes alone do not tell every pair of architectures apart; what is recorded does."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="pt") as file:
            recorded = (file.metadata() or {}).get("architecture")
    except (SafetensorError, OSError) as error:
        raise NogsError(f"weights {weights} cannot be read as safetensors: {error}") from error
    config = weights.with_name("config.json")
    if recorded is None and config.is_file():
        try:
            found = json.loads(config.read_text())
        except ValueError as error:
            raise NogsError(f"{config}, beside the weights, is no JSON: {error}") from error
        recorded = found.get("architecture") if isinstance(found, dict) else None
    if recorded is not None and recorded != name.partition(".")[0]:
        raise NogsError(f"weights {weights} are those of {recorded}, not of {name}")


def _check_weights(backbone: nn.Module, name: str, weights: str) -> None:
    """timm passes over names that a file lacks; here all but the last layer's must be there."""
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        stored = set(file.keys())
    last = cast(Any, backbone).pretrained_cfg["classifier"]
    new = tuple(f"{layer}." for layer in ([last] if isinstance(last, str) else last or ()))
    for key in backbone.state_dict():
        if (
            key not in stored
            and not key.startswith(new)
            and not key.endswith("num_batches_tracked")
        ):
            raise NogsError(f"weights {weights} do not fit timm's {name}: they have no {key}")
