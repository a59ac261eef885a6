"""`python -m nogs_bench`: the program `nogs-bench`."""

from nogs_bench.cli import main

if __name__ == "__main__":
    main()
