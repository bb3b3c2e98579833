"""Single kernels over a grid of sizes, as small models made by code: what a target's rates are seen on beyond the networks given."""
