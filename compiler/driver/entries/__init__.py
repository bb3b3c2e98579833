"""Several compilations of one model, each for other sizes, joined into one bundle."""
