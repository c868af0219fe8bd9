"""The pipeline's Ledger over our tables: layers, leases, names of scratch containers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

from django.db import Error as DatabaseError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from cache.models import LAYER_REPOSITORY, DockerHost, KnownBase, Layer, LayerLease
from crewship.devcontainer.label import LABEL
from crewship.devcontainer.types import LayerPlan
from crewship.domain.errors import BuildCancelled
from crewship.engine.base import ImageInfo
from crewship.web.database import is_away, wait_for_database
from provisioning.models import ProvisionJob, ScratchContainer
from provisioning.pipeline.context import LayerDraft, LayerRecord
from provisioning.states import JobState

log = logging.getLogger(__name__)

T = TypeVar("T")
LEASE_POLL_S = 0.3


class DatabaseLedger:
    """For one claimed job on one host; safe to use from several threads.

    A database that is away is waited for, in each method: what is written twice then does no harm.
    """

    def __init__(self, *, host: DockerHost, job_id: str, fence: int, cancel: Event) -> None:
        self._host = host
        self._job_id = job_id
        self._fence = fence
        self._cancel = cancel

    def note_base(self, ref: str, image: ImageInfo) -> None:
        facts = {
            "image_id": image.image_id,
            "platform": image.platform,
            "layer_count": image.layer_count,
            "label": image.config.labels.get(LABEL, ""),
            "seen_at": timezone.now(),
        }
        bases = KnownBase.objects
        self._wait(lambda: bases.update_or_create(host=self._host, ref=ref, defaults=facts))

    def find_layers(self, key: str) -> Sequence[LayerRecord]:
        rows = Layer.objects.filter(host=self._host, key=key).exclude(image_id="")
        found = self._wait(lambda: list(rows.order_by("-id")))
        return [LayerRecord(row.tag, row.image_id, row.facts) for row in found]

    @contextmanager
    def lease(self, key: str) -> Iterator[None]:
        while not self._wait(lambda: self._take(key)):
            if self._cancel.wait(LEASE_POLL_S):
                raise BuildCancelled("The build was stopped.")
        try:
            yield
        finally:
            lease = LayerLease.objects.filter(
                host=self._host, key=key, job_id=self._job_id, fence=self._fence
            )
            self._give_back(lease)

    def _take(self, key: str) -> bool:
        """The lease is ours now; one whose job does not run any more counts as free."""
        try:
            with transaction.atomic():
                held = LayerLease.objects.filter(host=self._host, key=key).first()
                if held is not None and (held.job_id, held.fence) == (self._job_id, self._fence):
                    return True  # an earlier try's, whose answer was lost
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
        columns = {
            "key": key,
            "kind": plan.kind,
            "label": plan.label[:200],
            "parts": dict(plan.parts),
            "parent_image_id": parent_image_id,
            "job_id": self._job_id,
            "last_used_at": timezone.now(),
        }
        layers = Layer.objects
        row, _ = self._wait(
            lambda: layers.get_or_create(host=self._host, tag=tag, defaults=columns)
        )
        return LayerDraft(row.pk, tag)

    def finish_layer(self, draft: LayerDraft, image: ImageInfo, facts: Mapping[str, Any]) -> None:
        row = Layer.objects.filter(pk=draft.row_id)
        self._wait(
            lambda: row.update(
                image_id=image.image_id,
                size_bytes=image.size_bytes,
                facts=dict(facts),
                last_used_at=timezone.now(),
            )
        )

    def drop_layer(self, draft: LayerDraft) -> None:
        self._give_back(Layer.objects.filter(pk=draft.row_id))

    def use_layer(self, tag: str) -> None:
        rows = Layer.objects.filter(host=self._host, tag=tag)
        self._wait(lambda: rows.update(last_used_at=timezone.now()))

    def note_scratch(self, name: str) -> None:
        columns = {"host": self._host, "job_id": self._job_id, "fence": self._fence}
        rows = ScratchContainer.objects
        self._wait(lambda: rows.get_or_create(name=name, defaults=columns))

    def forget_scratch(self, name: str) -> None:
        self._give_back(ScratchContainer.objects.filter(name=name))

    def _wait(self, work: Callable[[], T]) -> T:
        return wait_for_database(work, stop=self._cancel)

    def _give_back(self, rows: QuerySet[Any]) -> None:
        """The rows are gone. A stopped job does not wait for that: once it does not run any more,
        the sweep finds what it left."""
        try:
            self._wait(rows.delete)
        except DatabaseError as err:
            if not (is_away(err) and self._cancel.is_set()):
                raise
            log.warning("%s: left to the sweep: %s", self._job_id, err)


def _is_held(lease: LayerLease) -> bool:
    return ProvisionJob.objects.filter(
        pk=lease.job_id, fence=lease.fence, state=JobState.RUNNING
    ).exists()
