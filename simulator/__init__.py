"""The accelerator behind its bus, as software sees it."""

import os

# A layer is a few small products of matrices. BLAS threads for them only wait for each other: 40 times slower on a
# machine that is busy. Takes effect where numpy is not loaded yet; results do not depend on it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
