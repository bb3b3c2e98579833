"""A bundle with several entries, entry by entry: each as the manifest of a bundle that has it alone."""

from __future__ import annotations

from msgspec import structs

from ..errors import UsageError, did_you_mean
from .manifest import EntryRecord, Manifest, PlanRecord

OF_MODEL = ("inputs", "outputs")


def entry_named(manifest: Manifest, name: str) -> EntryRecord:
    """Raises UsageError for a name that the bundle does not have."""
    found = next((entry for entry in manifest.entries if entry.name == name), None)
    if found is None:
        names = [entry.name for entry in manifest.entries]
        help = did_you_mean(name, names) or (f"it has {', '.join(names)}" if names else "it can be run in one way: leave the entry out")
        raise UsageError(f"the bundle has no entry {name!r}", help=help)
    return found


def entry_view(manifest: Manifest, name: str) -> Manifest:
    """The manifest with the plan of one entry, and no others. Raises as `entry_named`."""
    return with_plan(manifest, entry_named(manifest, name))


def with_plan(manifest: Manifest, entry: EntryRecord) -> Manifest:
    """The manifest with the plan of one of its entries, and no others."""
    plan = entry.plan
    if plan is None:
        return structs.replace(manifest, entries=())
    own = {name: getattr(plan, name) for name in plan.__struct_fields__ if name not in OF_MODEL}
    model = structs.replace(manifest.model, inputs=plan.inputs, outputs=plan.outputs)
    return structs.replace(manifest, model=model, entries=(), **own)


def views(manifest: Manifest) -> tuple[Manifest, ...]:
    """One for each entry; the manifest itself where it has none."""
    return tuple(with_plan(manifest, entry) for entry in manifest.entries) or (manifest,)


def plan_of(manifest: Manifest) -> PlanRecord:
    """What a manifest of one entry has of its own."""
    own = {name: getattr(manifest, name) for name in PlanRecord.__struct_fields__ if name not in OF_MODEL}
    return PlanRecord(inputs=manifest.model.inputs, outputs=manifest.model.outputs, **own)
