"""The pipeline's Ledger over our tables: layers, leases, names of scratch containers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from cache.models import LAYER_REPOSITORY, DockerHost, KnownBase, Layer, LayerLease
from crewship.devcontainer.label import LABEL
from crewship.devcontainer.types import LayerPlan
from crewship.domain.errors import BuildCancelled
from crewship.engine.base import ImageInfo
from provisioning.models import ProvisionJob, ScratchContainer
from provisioning.pipeline.context import LayerDraft, LayerRecord
from provisioning.states import JobState

LEASE_POLL_S = 0.3


class DatabaseLedger:
    """For one claimed job on one host; safe to use from several threads."""

    def __init__(self, *, host: DockerHost, job_id: str, fence: int, cancel: Event) -> None:
        self._host = host
        self._job_id = job_id
        self._fence = fence
        self._cancel = cancel

    def note_base(self, ref: str, image: ImageInfo) -> None:
        KnownBase.objects.update_or_create(
            host=self._host,
            ref=ref,
            defaults={
                "image_id": image.image_id,
                "platform": image.platform,
                "layer_count": image.layer_count,
                "label": image.config.labels.get(LABEL, ""),
                "seen_at": timezone.now(),
            },
        )

    def find_layers(self, key: str) -> Sequence[LayerRecord]:
        rows = Layer.objects.filter(host=self._host, key=key).exclude(image_id="")
        return [LayerRecord(row.tag, row.image_id, row.facts) for row in rows.order_by("-id")]

    @contextmanager
    def lease(self, key: str) -> Iterator[None]:
        while not self._take(key):
            if self._cancel.wait(LEASE_POLL_S):
                raise BuildCancelled("The build was stopped.")
        try:
            yield
        finally:
            LayerLease.objects.filter(
                host=self._host, key=key, job_id=self._job_id, fence=self._fence
            ).delete()

    def _take(self, key: str) -> bool:
        """The lease is ours now; one whose job does not run any more counts as free."""
        try:
            with transaction.atomic():
                held = LayerLease.objects.filter(host=self._host, key=key).first()
                if held is not None and not _is_held(held):
                    held.delete()
                LayerLease.objects.create(
                    host=self._host, key=key, job_id=self._job_id, fence=self._fence
                )
        except IntegrityError:
            return False
        return True

    def begin_layer(self, plan: LayerPlan, parent_image_id: str) -> LayerDraft:
        key = plan.key or ""
        # Unique for good: a rebuild's layer stands beside the old one, and installations that
        # share an engine never take each other's names.
        unique = f"{self._job_id.removeprefix('job_').lower()}-{time.time_ns():x}"
        tag = f"{LAYER_REPOSITORY}:{key[:32]}-{unique}"
        row = Layer.objects.create(
            host=self._host,
            key=key,
            tag=tag,
            kind=plan.kind,
            label=plan.label[:200],
            parts=dict(plan.parts),
            parent_image_id=parent_image_id,
            job_id=self._job_id,
            last_used_at=timezone.now(),
        )
        return LayerDraft(row.pk, tag)

    def finish_layer(self, draft: LayerDraft, image: ImageInfo, facts: Mapping[str, Any]) -> None:
        Layer.objects.filter(pk=draft.row_id).update(
            image_id=image.image_id,
            size_bytes=image.size_bytes,
            facts=dict(facts),
            last_used_at=timezone.now(),
        )

    def drop_layer(self, draft: LayerDraft) -> None:
        Layer.objects.filter(pk=draft.row_id).delete()

    def use_layer(self, tag: str) -> None:
        Layer.objects.filter(host=self._host, tag=tag).update(last_used_at=timezone.now())

    def note_scratch(self, name: str) -> None:
        ScratchContainer.objects.create(
            host=self._host, name=name, job_id=self._job_id, fence=self._fence
        )

    def forget_scratch(self, name: str) -> None:
        ScratchContainer.objects.filter(name=name).delete()


def _is_held(lease: LayerLease) -> bool:
    return ProvisionJob.objects.filter(
        pk=lease.job_id, fence=lease.fence, state=JobState.RUNNING
    ).exists()
