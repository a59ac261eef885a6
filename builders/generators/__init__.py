"""Where the images of a bank come from: see `generator.Generator` for the interface.

Importing the package fills `GENERATORS` with `stylegan`, `finegan`, `diffusers`, `callable`,
`folder`, `dataset`, `sampler` and `gan`; entry points of the group `nogs_bench.generators` add
others.
"""

from nogs_bench.builders.generators import (  # noqa: F401  (they fill GENERATORS)
    callables,
    finegan,
    gan,
    pipelines,
    stored,
    stylegan,
)
from nogs_bench.builders.generators.generator import (
    GENERATORS,
    Generator,
    Setting,
    named_generator,
    open_generator,
)

__all__ = ["GENERATORS", "Generator", "Setting", "named_generator", "open_generator"]
