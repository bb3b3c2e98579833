"""Targets built by hand, for tests that are not about the language."""

from __future__ import annotations

from collections.abc import Sequence

from autoglmc.targets.model import (
    Device,
    KernelChain,
    KernelStage,
    Limit,
    Link,
    Memory,
    OperatorRule,
    Peak,
    RewriteLine,
    Runtime,
    SupportBlock,
    Target,
)
from autoglmc.targets.origin import Origin
from autoglmc.targets.precision import Precision

HERE = Origin("test.hw", 1, 1)


def make_device(
    name: str,
    operators: Sequence[str] | None,
    *,
    dtypes: Sequence[str] = ("fp32",),
    adapter: str = "none",
    peak: float = 1e12,
    dispatch: float = 1e-4,
    launch: float = 1e-6,
    static_shapes: bool = True,
    max_rank: int | None = None,
    kernels: Sequence[Sequence[str]] = (),
    rewrites: Sequence[tuple[str, str, float | None]] = (),
) -> Device:
    """`operators` None is `supports all`. A kernel chain is a list of "Add|Sub" words, a trailing ? makes a stage optional."""
    rules = tuple(OperatorRule(domain="", operator=op, where=None, origin=HERE) for op in operators or ())
    block = SupportBlock(dtypes=tuple(dtypes) if operators is not None else (), everything=operators is None, rules=rules, origin=HERE)
    chains = tuple(
        KernelChain(
            stages=tuple(KernelStage(operators=tuple(word.rstrip("?").split("|")), optional=word.endswith("?")) for word in chain),
            origin=HERE,
        )
        for chain in kernels
    )
    lines = tuple(RewriteLine(operator=op, rule=rule, tolerance=tol, keep=(), where=None, origin=HERE) for op, rule, tol in rewrites)
    return Device(
        name=name,
        kind="test",
        runtime=Runtime(adapter=adapter, words=()),
        peaks=(Peak(dtype=dtypes[0], rate=peak),),
        sustained=1.0,
        dispatch=dispatch,
        launch=launch,
        row_align=1,
        max_rank=max_rank,
        max_dims=(),
        static_shapes=static_shapes,
        active_power=None,
        idle_power=None,
        supports=(block,),
        denies=(),
        kernels=chains,
        rewrites=lines,
        origin=HERE,
    )


def make_link(
    source: str,
    destination: str,
    *,
    zero_copy: bool = True,
    bandwidth: float | None = 2e10,
    handoff: float = 1e-5,
    row_align: int = 1,
    align: int = 1,
    length_multiple: int = 1,
) -> Link:
    return Link(
        source=source,
        destination=destination,
        both=True,
        via="shared",
        zero_copy=zero_copy,
        zero_copy_where=None,
        copy_bandwidth=bandwidth,
        row_align=row_align,
        align=align,
        length_multiple=length_multiple,
        handoff=handoff,
        origin=HERE,
        zero_copy_origin=HERE if zero_copy else None,
    )


def make_cpu(**changes: object) -> Device:
    settings: dict[str, object] = {"adapter": "ort", "peak": 5e10, "dispatch": 5e-6, "static_shapes": False, **changes}
    return make_device("cpu", None, **settings)  # type: ignore[arg-type]


def make_target(
    devices: Sequence[Device],
    links: Sequence[Link],
    *,
    budget: int = 1 << 30,
    limits: Sequence[Limit] = (),
    opset: tuple[int, int] = (7, 24),
) -> Target:
    """All devices share one memory."""
    memory = Memory(
        name="dram", size=budget, budget=budget, bandwidth=5e10, page=4096, shared=tuple(device.name for device in devices), origin=HERE
    )
    return Target(
        name="test",
        title="Test target",
        language=1,
        opset=opset,
        memories=(memory,),
        devices=tuple(devices),
        links=tuple(links),
        precision=Precision(default=None, compute=(), keep=()),
        limits=tuple(limits),
        rules=(),
        facts=(),
        digest="0" * 64,
    )
