"""The text that a new target begins as. It holds no number: what is not filled in is a `?`, and every `?` is an error."""

from __future__ import annotations

SKELETON = """hw 1;

// Replace every `?`. `autoglmc check` says what is still open and what does not fit; `autoglmc fmt` lines it up.
// Each number may say where it is from, right behind it: @src("page, table"), @vendor("…"), @proxy("measured on a relative of it"),
// @guess. There are no defaults: a number that nobody knows is a guess, and says so.

target NAME {
  name ?;                                     // full name, in quotes
  onnx opset ?..?;                            // the opsets that its runtimes take
  // confidence low;                          // what you think of the numbers: low, medium, high

  memory dram {
    size      ?;                              // with its unit: GiB, MiB, KiB
    bandwidth ?;                              // GB/s
    shared    npu, cpu;                       // the devices that address it
    // budget ?;                              // what one deployment may hold, if less than all
    // page   ?;                              // of the operating system: zero-copy buffers begin on one
  }

  device npu : ? {                            // the kind of device, a word for reports
    runtime   ?;                              // what runs it: ort, coreml, qnn, nnapi …; none: plan only
    peak      ? ?;                            // dtype and rate: fp16 … TOPS; one line a dtype
    dispatch  ?;                              // starting one segment, us or ms
    launch    ?;                              // each further kernel of a segment, us
    // sustained ? %;                         // the share of the peak that real work reaches
    // align row ? B;                         // bytes that the last axis is padded to
    // max rank ?;
    // static_shapes yes;
    // power active ? W, idle ? W;

    supports ? {                              // the compute dtype; a table that ships: inherit it instead of writing one
      // Conv where rank(X) == ? and const(W);
      // Relu, Add, Mul;
    }
    // deny { Gather where not const(indices); }
    // kernel { Conv -> Relu | Clip; }        // chains that run as one launch
    // rewrite HardSwish -> decompose;        // what to do about operators it lacks, best first
  }

  device cpu : ? {
    runtime   ort;
    peak      ? ?;
    dispatch  ?;
    launch    ?;
    supports  all;
  }

  link npu <-> cpu {
    via       ?;                              // the mechanism, a word for reports
    handoff   ?;                              // synchronisation, per tensor handed over
    copy      ?;                              // GB/s; or `zero_copy;`, or `zero_copy where … else copy … GB/s;`
  }

  // precision { default fp16; }
  // limits { latency <= ? ms; memory peak <= ? MiB; accuracy cosine >= ?; }
}
"""


def skeleton(name: str) -> str:
    """A commented target of that name with one accelerator and its host. Raises ValueError for what is no name."""
    if not name.isascii() or not name.isidentifier():
        raise ValueError(f"'{name}' is no name for a target: letters, digits and _, a letter first")
    return SKELETON.replace("NAME", name)
