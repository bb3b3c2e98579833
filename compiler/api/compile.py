"""`autoglmc.compile`: a model into a bundle, ready to run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...targets.model import Target
from ..activity import Limits, limited
from ..driver.entries.compile_asked import compile_asked
from ..inputs.samples import Given
from ..precision.asked_accuracy import asked_accuracy
from ..precision.request import request_of
from ..prune.request import precision_beside, prune_request
from ..run.bundle import Bundle
from .arguments import arrays_of, effort_of, given_of, names_of
from .asked import Buckets, asked_of, state_of

if TYPE_CHECKING:
    from ..driver.search_budget import SearchBudget
    from ..load.bind_shapes import Shapes
    from ..load.source import Model
    from ..precision.request import Data
    from ..surgery.user_pass import UserPass


def compile(
    model: Model | Mapping[str, Model] | None = None,
    target: str | os.PathLike[str] | Target | None = None,
    *,
    shapes: Shapes | None = None,
    output: str | os.PathLike[str] | None = None,
    verify: bool = True,
    emulate: bool = False,
    effort: float = 1.0,
    inputs: Given | None = None,
    expect: Mapping[str, Any] | None = None,
    disable: Iterable[str] = (),
    passes: Sequence[UserPass | Callable[[Any], Any]] = (),
    search: SearchBudget | None = None,
    require_verified: str | None = None,
    sign: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
    time_limit: float | None = None,
    objective: str = "latency",
    precision: str | None = None,
    calibration_data: Data | None = None,
    calibration_method: str | None = None,
    weights_method: str | None = None,
    save_quantized: str | os.PathLike[str] | None = None,
    prune: str | float | None = None,
    prune_layers: Mapping[str, str | float] | None = None,
    save_pruned: str | os.PathLike[str] | None = None,
    accuracy: str | Iterable[str] | None = None,
    compress: bool = False,
    no_fallback: bool = False,
    resident: int | None = None,
    states: str | Iterable[str] | Mapping[str, str] = (),
    max_length: int | None = None,
    given: str | Iterable[str] = (),
    cache_dtype: str | None = None,
    buckets: Buckets = (),
    links: str | Iterable[str] = (),
    deploy: str | os.PathLike[str] | None = None,
) -> Bundle:
    """Compiles a model for a target into a bundle, writes it to a folder and loads it.

    - model: a path, an onnx.ModelProto or an onnx_graphsurgeon.Graph; it is not changed. Several that become one bundle: a mapping from
      names to them, joined by `links`.
    - target: a .hw file, the name of a stock target, or what `load_target` returns.
    - shapes: sizes of the model's dynamic dims, by dim name (an int) or for a whole input (a tuple): `{"batch": 1}`.
    - output: the bundle's folder; an older bundle there is replaced. By default `model.<target>/` beside the model's file; for a model
      in memory it must be given.
    - verify: run the bundle against the model before it takes its place. Segments whose device is not here are judged on the CPU.
    - emulate: that is enough to call the bundle verified; without it such a bundle is written, but not verified
      (`bundle.manifest.verification`).
    - effort: how long the placement solver looks for a proof, and an arena for offsets that fit, as a multiple of the default limits.
    - inputs: arrays by input name, or (label, arrays) for each of several sets, compared before generated ones.
    - expect: arrays by output name, what the model's source framework computes for `inputs`: the bundle is held against them too.
    - disable: names of rewrite rules not to use (docs/rules.md).
    - passes: functions of yours that edit an onnx_graphsurgeon.Graph; each declares what it may change in the model's outputs
      (`f.contract = "exact"`, `"reassociates"` or `"bounded=1e-3"`) and is held to it. They run in their order once the model is
      simplified; `UserPass(f, point)` runs one elsewhere.
    - search: how many attempts and probes, and how much time, may be spent where a plan is refused, wrong or over a limit.
    - require_verified: refuse a bundle that is not verified: "all", with every segment on its own runtime, even if `emulate`; "here",
      leaving out runtimes that are not here.
    - sign: the file of a private key (ed25519, PEM) that the bundle is signed with; `Bundle.load(path, trust=[public key])` checks it.
    - progress: called with a line per stage.
    - objective: what the plan is chosen for within the target's limits: "latency" (one request, one device after another), "overlap" (one
      request, independent branches at once), "throughput" (the time between pipelined requests), "energy" or "memory".
    - precision: write a float model in other number formats first, wherever a device of the target runs them: "int8" (activations and
      weights of 8 bits; without calibration data weights alone), "int16" (activations of 16 bits, weights of 8), "fp16", "int4"
      (weights alone); "auto" chooses for each operator what makes the model
      fastest within the accuracy that is asked for; "fp32" leaves it as it is. How near the bundle is to the
      float model is measured by its own run (`bundle.manifest.precision`).
    - calibration_data: inputs as the model will meet them, which integers need: a folder of .npz or .npy files, one of them,
      "script.py:function", or dicts of arrays. Without `precision` a form is chosen for each operator ("auto").
    - calibration_method: what ranges of tensors are: "minmax" (the default), "percentile" or "entropy".
    - weights_method: how weights in blocks are rounded: "rtn", to the nearest step (the default), or "gptq", so that products with the
      calibration samples change least, the default of "int4" with calibration data.
    - save_quantized: an .onnx file to write the quantised model to, as plain ONNX.
    - prune: the share of its channels and heads that each layer loses, those of the smallest magnitude: "50%" or 0.5; "auto" takes as much
      as calibration data allows. What is left is compiled, in the precision asked for (`bundle.manifest.pruning`).
    - prune_layers: shares of single layers, by the name of the operator or of what it writes. save_pruned: an .onnx file to write the
      pruned model to.
    - accuracy: one or several limits on how accurate the bundle has to be, by its own run: "cosine >= 0.99" or "top1 drop <= 1 %" against
      the float model on held-out samples, "script.py:function >= 0.9" or "script.py:function drop <= 1 %" by what your function returns.
    - compress: keep the weights deflated in the bundle: a smaller package, unpacked whenever it is loaded for runs, and not mapped.
    - no_fallback: leave out the weights of segments that were compiled ahead of time, which have them in the compiled file: such a
      segment runs only on the runtime and the versions that it was compiled for, and no CPU can take its place.
    - resident: bytes of weights that sessions of the bundle may hold in private memory; the others are read from its file where that is
      mapped. The file is larger by the forms in which the kernels here want them.
    - states: inputs that are caches, and outputs that take their place, "past.*=present.*", `*` being the same in both; they stay in the
      bundle's memory. max_length: tokens that they hold at most; without it they are states of one shape, which every run replaces.
    - given: inputs that whoever steps gives, although they follow from the number of tokens. cache_dtype: "fp16" keeps caches so.
    - buckets: entries of the bundle: tokens that a step of a decoder takes, `{"prefill": 128, "decode": 1}`, or sizes of dims,
      `{"short": {"seq": 8}}`; or words as `--bucket` takes them.
    - links: of several models, "vision.features=decoder.inputs_embeds@image": an output that another one reads, without a copy.
    - deploy: a .hw file whose `deploy` block says all of that, in place of model, target, shapes and what stands above; the bundle is
      `NAME.<target>/` beside it by default.
    - time_limit: seconds that one run of the model or of the bundle may take here, or loading it, or evaluating the model in float64;
      TimeLimit is raised beyond it. By default none but for the evaluation (300 s).

    Raises UsageError (an argument), ModelError (the model), HwError (the .hw file), TargetError or Infeasible (no plan keeps the
    target's limits), SearchEnded (none does within `search`), BundleError (the folder), VerifyError (the bundle computes something
    else), UserPassError (a pass of yours fails or breaks its contract); then nothing is written.

    >>> bundle = autoglmc.compile("lightnet.onnx", "tensor_g2", shapes={"batch": 1}, emulate=True)
    >>> bundle
    <Bundle 'lightnet.tensor_g2': tensor_g2, 7 segments on cpu, npu>
    >>> x = numpy.zeros((1, 3, 96, 96), numpy.float32)
    >>> bundle.run({"pixel_values": x}, emulate=True)["y"].shape
    (1, 100)
    """
    pruned = prune_request(prune, prune_layers or {}, calibration_data, None if save_pruned is None else Path(save_pruned))
    numbers = request_of(
        precision_beside(pruned, precision),
        calibration_data,
        calibration_method,
        None if save_quantized is None else Path(save_quantized),
        weights_method,
    )
    state = state_of(states, max_length, given, cache_dtype)
    asked = asked_of(model, target, shapes, state, buckets, links, deploy)
    place = None if output is None else Path(os.fspath(output))
    if deploy is not None and place is None:
        place = Path(deploy).parent / f"{asked.name}.{asked.target.name}"
    common: dict[str, Any] = {
        "output": place,
        "verify": verify,
        "emulate": emulate,
        "effort": effort_of(effort),
        "inputs": given_of(inputs),
        "disable": names_of(disable),
        "passes": passes,
        "search": search,
        "require_verified": require_verified,
        "sign": sign,
        "progress": progress,
        "objective": objective,
        "precision": numbers,
        "accuracy": asked_accuracy(accuracy),
        "compress": compress,
        "resident": resident,
    }
    alone = {"expect": arrays_of(expect, "expect"), "prune": pruned, "no_fallback": no_fallback}
    with limited(Limits(time_limit)):
        return compile_asked(asked.models, asked.target, **asked.words, alone=alone, **common).bundle
