"""The parts of benchmarks/verify_slips.py: wrong models, how wrong they are, and what a verification says of them."""

import os

# Read when numpy is first imported. Several threads take longer for small products, on cores shared with other work 80 times.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
