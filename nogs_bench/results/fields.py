"""What a field of a result may hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Bounds far beyond any run's, so that a number is a number and a name is a name.
Name = Annotated[str, Field(max_length=100, pattern=r"^\w[\w+.-]*$")]
DatasetName = Annotated[str, Field(max_length=200, pattern=r"^\w[\w+.:() -]*(/\w[\w+.:() -]*)?$")]
Text = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f<>]*$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**53)]
Positive = Annotated[int, Field(ge=1, le=2**53)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0, le=1e9)]


def number_name(value: float) -> str:
    """A number within a name: six digits, or as many as give the same number back."""
    text = f"{value:g}"
    return text if float(text) == value else repr(value)


class Strict(BaseModel):
    """Nothing unknown, nothing missing, no silent conversion, no NaN or infinity; frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
