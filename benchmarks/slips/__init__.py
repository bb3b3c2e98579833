"""The parts of benchmarks/verify_slips.py: wrong models, how wrong they are, and what a verification says of them."""
