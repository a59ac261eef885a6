"""`python -m nogs_bench`: the program `nogs-bench`."""

from nogs_bench.cli import main

main()
