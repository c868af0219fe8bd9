"""Why a job built what it built instead of finding it: its layers beside those of the crew's job
before it. The parts of a layer's key are kept for this.

Only jobs of the same crew are compared: what another crew's options are is not this crew's to see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cache.models import Layer
from crewship.devcontainer.types import LayerKind
from provisioning.history import LayerLine
from provisioning.models import JobEvent, ProvisionJob
from provisioning.states import EventKind

_WORDS: Final = {
    "digest": "the feature's content",
    "user": "the agent user",
    "uid": "the agent user's uid",
    "env": "environment that features set",
    "feature_env": "environment that features set",
    "container_env": "containerEnv",
    "mise_env": "the mise config's env",
    "hooks": "the lifecycle commands",
    "mise": "mise itself",
    "tools": "mise tools",
}


@dataclass(frozen=True, slots=True)
class Miss:
    """The layers that were built, and why the first of them was not found. None built: only the
    last step's commit was new, which every new config needs."""

    built: tuple[LayerLine, ...]
    found: int
    reasons: tuple[str, ...]


def explain_miss(job: ProvisionJob) -> Miss | None:
    """None for a job that got its image ready-made, or never came to layers."""
    layers = [] if job.cache_hit else layers_of(job)
    if not layers:
        return None
    built = tuple(layer for layer in layers if not layer.hit)
    found = len(layers) - len(built)
    return Miss(built, found, tuple(_reasons(job, layers)))


def layers_of(job: ProvisionJob) -> list[LayerLine]:
    """The job's layers in order; each once, as it was in the last attempt."""
    events = JobEvent.objects.filter(job=job, kind=EventKind.LAYER).order_by("seq")
    by_key = {
        data["key"]: LayerLine(
            data["kind"], data["label"], data["key"], data["hit"], data["seconds"]
        )
        for data in events.values_list("data", flat=True)
    }
    return list(by_key.values())


def _reasons(job: ProvisionJob, layers: list[LayerLine]) -> Iterator[str]:
    if job.rebuild:
        yield "A rebuild was asked for: it resolves everything again and uses no existing layer."
        return
    if all(layer.hit for layer in layers):
        yield (
            "Every layer was found. Only lifecycle commands, environment and the image's own "
            "config were new; they are committed last, on top of the layers."
        )
        return
    before = _job_before(job)
    if before is None:
        yield "It was the crew's first build, and no other crew had built these layers."
        return
    old = layers_of(before)
    index = next(i for i, layer in enumerate(layers) if not layer.hit)
    new = layers[index]
    if new.key in {layer.key for layer in old}:
        yield f"The layer “{new.label}” was built before, but is not on the host any more."
        return
    twin = next((x for x in old if x.kind == new.kind and _name(x) == _name(new)), None)
    if twin is None:
        yield f"“{new.label}” was not in the build before."
    else:
        yield from _differences(job, twin, new)
    if len(layers) > index + 1:
        yield "Every layer above it stands on it, so those were built again too."


def _job_before(job: ProvisionJob) -> ProvisionJob | None:
    """The crew's job before that went through layers."""
    with_layers = JobEvent.objects.filter(kind=EventKind.LAYER).values("job_id")
    earlier = ProvisionJob.objects.filter(crew_id=job.crew_id, pk__lt=job.pk)
    return earlier.filter(pk__in=with_layers).order_by("-id").first()


def _name(layer: LayerLine) -> str:
    """What stays the same of a label when the layer's version changes."""
    if layer.kind != LayerKind.FEATURE:
        return ""
    return layer.label.partition("@")[0].rpartition(":")[0] or layer.label


def _differences(job: ProvisionJob, old: LayerLine, new: LayerLine) -> Iterator[str]:
    rows = {
        row.key: row
        for row in Layer.objects.filter(host_id=job.host_id, key__in=[old.key, new.key])
    }
    before, after = rows.get(old.key), rows.get(new.key)
    if after is None or before is None:
        yield f"“{new.label}” changed; the layer of before is not recorded any more."
        return
    changed = list(_changed_parts(before.parts, after.parts))
    if changed:
        yield f"“{new.label}” changed: {'; '.join(changed)}."
    elif new.kind == LayerKind.USER:
        yield "The base image is another one than before (or has a new id under the same tag)."
    else:
        yield f"“{new.label}” is the same, but stands on something else than before."


def _changed_parts(
    before: Mapping[str, Any],
    after: Mapping[str, Any],  # Any: JSON
) -> Iterator[str]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if name == "options" and isinstance(old, dict) and isinstance(new, dict):
            for option in sorted({*old, *new}):
                if old.get(option) != new.get(option):
                    yield f"option {option}: {_short(old.get(option))} → {_short(new.get(option))}"
        elif name == "digest":
            yield f"the publisher's content: {_short(old)} → {_short(new)}"
        else:
            yield _WORDS.get(name, name)


def _short(value: object) -> str:
    text = "not set" if value is None else str(value).removeprefix("sha256:")
    return text if len(text) <= 40 else f"{text[:12]}…"
