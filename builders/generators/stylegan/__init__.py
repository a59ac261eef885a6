"""StyleGAN checkpoints as image generators, in the layouts of public code."""

from nogs_bench.builders.generators.stylegan import (  # noqa: F401  (both fill LAYOUTS)
    generator,
    lernapparat,
    rosinality,
)
