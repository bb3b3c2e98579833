"""The statements of a `deploy` block, one row each, as properties.py has those of the others."""

from __future__ import annotations

from collections.abc import Mapping

from .property import Property

DEPLOY: Mapping[str, Property] = {
    "target": Property(
        'target "x86_cpu";', "The machine: a stock target, or a .hw file beside this one.",
        required='name the machine: `target "x86_cpu";`', blank="",
    ),
    "model": Property(
        'model vision "vision.onnx";', "An ONNX file beside this one, and its name in the bundle.",
        required='name a file: `model decoder "decoder.onnx";`', keyed=True, blank="",
    ),
    "link": Property(
        'link vision "features" -> decoder "inputs_embeds" rows image;',
        "An output of one model that is an input of another one, which all links lead to. With `rows` it is some of the rows, whose first "
        "one every step states; without, the input from its first row on.",
        takes=("model",), repeated=True, words=("rows",), choice="a property of a link", blank="",
    ),
    "state": Property(
        'state "past.*" = "present.*" max 1024 in fp16;',
        "Inputs that stay from run to run, and the outputs that take their place; `*` is the same in both. With `max` they are caches of "
        "so many tokens at most, kept in the model's dtype or with `in` in that one; without, every run replaces them.",
        repeated=True, words=("max", "in"), choice="a property of a state", blank="",
    ),
    "given": Property(
        'given "position_ids";', "An input that is given in every step, although it follows from the number of tokens.", repeated=True,
        blank="",
    ),
    "shapes": Property(
        "shapes { … }", "An entry of the bundle for each size: `prefill: seq 128; decode: seq 1;`. Of a model with caches, its tokens.",
        opens="shapes", blank="",
    ),
    "size": Property(
        "size patches 64;", "The size of a dim, in every model that has one of that name.", "plain number", keyed=True, blank="",
    ),
}  # fmt: skip
