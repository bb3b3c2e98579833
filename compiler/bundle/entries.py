"""A bundle with several entries, entry by entry or model by model: each as the manifest of a bundle that has it alone."""

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
    return _with_plan(manifest, entry, ())


def _with_plan(manifest: Manifest, entry: EntryRecord, entries: tuple[EntryRecord, ...]) -> Manifest:
    """With these entries instead; of a model that nobody describes, with the facts of the first one (check_entries.py refuses it)."""
    plan, first = entry.plan, manifest.entries[0].model
    whole: dict[str, object] = {"entries": entries, "links": (), "models": {}, "phases": None}
    if plan is None:
        return structs.replace(manifest, **whole)
    own = {name: getattr(plan, name) for name in plan.__struct_fields__ if name not in OF_MODEL}
    source = None if entry.model is None or entry.model == first else manifest.models.get(entry.model)
    facts = {} if source is None else structs.asdict(source)
    model = structs.replace(manifest.model, inputs=plan.inputs, outputs=plan.outputs, **facts)
    states = manifest.states if entry.model == first else ()
    return structs.replace(manifest, model=model, states=states, **whole, **own)


def of_model(manifest: Manifest, name: str | None) -> Manifest:
    """The manifest of a bundle of several models as if it had one of them alone, with all of its entries; the manifest itself for None.
    Raises UsageError for a name that it does not have."""
    if name is None:
        return manifest
    mine = [entry for entry in manifest.entries if entry.model == name]
    if not mine:
        names = models_of(manifest)
        help = did_you_mean(name, names) or (f"it has {', '.join(names)}" if names else "it has one")
        raise UsageError(f"the bundle has no model {name!r}", help=help)
    plans = [plan_of(with_plan(manifest, entry)) for entry in mine]
    entries = [
        structs.replace(entry, model=None, plan=plan if k else None) for k, (entry, plan) in enumerate(zip(mine, plans, strict=True))
    ]
    return _with_plan(manifest, mine[0], tuple(entries))


def models_of(manifest: Manifest) -> tuple[str, ...]:
    """Names of the bundle's models, that of the first entry first; () where it has one."""
    return tuple(dict.fromkeys(entry.model for entry in manifest.entries if entry.model is not None))


def apart(manifest: Manifest) -> dict[str, frozenset[str]]:
    """By entry, those that are never open beside it: entries of models of other phases."""
    turns = set() if manifest.phases is None else {phase.model for phase in manifest.phases.each}
    models = {entry.name: entry.model for entry in manifest.entries}
    return {
        name: frozenset(other for other, its in models.items() if its in turns and its != model) if model in turns else frozenset()
        for name, model in models.items()
    }


def open_together(manifest: Manifest) -> dict[str, tuple[Manifest, ...]]:
    """Views of the entries that may be open at the same time: by the model of a phase, or "" for all of them where there are no phases."""
    if manifest.phases is None:
        return {"": views(manifest)}
    turns, found = [phase.model for phase in manifest.phases.each], {}
    for model in turns:
        mine = (entry for entry in manifest.entries if entry.model == model or entry.model not in turns)
        found[model] = tuple(with_plan(manifest, entry) for entry in mine)
    return found


def views(manifest: Manifest) -> tuple[Manifest, ...]:
    """One for each entry; the manifest itself where it has none."""
    return tuple(with_plan(manifest, entry) for entry in manifest.entries) or (manifest,)


def plan_of(manifest: Manifest) -> PlanRecord:
    """What a manifest of one entry has of its own."""
    own = {name: getattr(manifest, name) for name in PlanRecord.__struct_fields__ if name not in OF_MODEL}
    return PlanRecord(inputs=manifest.model.inputs, outputs=manifest.model.outputs, **own)
