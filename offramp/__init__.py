"""Early-exit firmware for the MAX78000: command line, comparison and reports."""

import offramp.simulator  # noqa: F401  first of all: it sets how many threads numpy's BLAS starts
