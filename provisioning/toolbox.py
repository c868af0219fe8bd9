"""Putting together what a build works with, from the settings: engine, registries, mise."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from threading import Event

from django.conf import settings

from cache.models import DockerHost
from catalogs.bundled import FEATURES, NAMESPACE
from catalogs.fetch import Sources
from catalogs.pack import pack_features
from catalogs.selectors import default_versions
from crewship.domain.errors import EngineError
from crewship.engine.base import Engine, RegistryCredentials
from crewship.engine.disk import engine_disk
from crewship.engine.docker import DockerEngine
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.credentials import IDENTITY_USER, credentials_for
from crewship.registry.features import FeatureFetcher
from crewship.registry.mise import MiseSource, ensure_mise
from crewship.registry.options import Credentials, RegistryOptions
from crewship.settings.options import Options
from provisioning.ledger import DatabaseLedger
from provisioning.models import ProvisionJob
from provisioning.pipeline.context import BuildOptions, Emit, Tools

log = logging.getLogger(__name__)


def host_engine() -> Engine:
    """The engine of this machine, as DOCKER_HOST has it."""
    return DockerEngine.from_environment()


def engine_answers() -> bool:
    """Whether the engine of this machine can be worked with now."""
    try:
        host_engine().info()
    except EngineError as err:
        log.warning("the engine does not answer: %s", err)
        return False
    return True


@lru_cache
def bundled_layout(folder: Path) -> Path:
    """Our own features, packed into ``folder`` once a process; the same bytes each time."""
    pack_features(FEATURES, folder, NAMESPACE)
    return folder


def registry_options(options: Options, store: Path | None = None) -> RegistryOptions:
    """How registries are reached. Our own features come from the bundled copy where ghcr.io does
    not give them; it is kept below ``store`` (the installation's)."""
    given = options.registry
    folder = (store or options.data_dir / "store") / "bundled-features"
    return RegistryOptions(
        mirrors=given.mirrors,
        layouts={prefix: Path(path) for prefix, path in given.layouts.items()},
        fallbacks={NAMESPACE: partial(bundled_layout, folder)},
        plain_http=frozenset(given.plain_http),
        ca_bundle=Path(given.ca_bundle) if given.ca_bundle else None,
        auth=partial(registry_login, given.tokens),
    )


def registry_login(tokens: Mapping[str, str], host: str) -> Credentials | None:
    """How this installation logs in at a registry: CREWSHIP_REGISTRY_TOKENS (``secret``, for
    registries that take any user with it, or ``user:secret``), else what docker's login left."""
    given = tokens.get(host)
    if not given:
        return credentials_for(host)
    user, separator, secret = given.partition(":")
    return (user, secret) if separator else ("crewship", given)


def catalog_sources(options: Options) -> Sources:
    """What the catalogs are fetched from: the publishers that may be used, and mise. One that
    hangs holds the others up for a minute, not for the minutes that a build would wait."""
    patient = registry_options(options)
    return Sources(
        registry=replace(
            patient, connect_timeout_s=5, read_timeout_s=10, total_timeout_s=30, retries=1
        ),
        publishers=options.policy.publishers,
        mise=options.mise_source,
        store=options.data_dir / "store",
    )


def build_options(options: Options) -> BuildOptions:
    limits = options.limits
    return BuildOptions(
        policy=options.policy,
        network=options.build_network,
        step_timeout_s=limits.step_timeout_s,
        idle_timeout_s=limits.idle_timeout_s,
        memory_bytes=None if limits.build_memory_mb is None else limits.build_memory_mb << 20,
        nano_cpus=int(limits.build_cpus * 1_000_000_000) or None,
        pids_limit=limits.build_pids or None,
        max_layer_bytes=limits.max_layer_bytes,
        disk_floor_bytes=limits.disk_floor_mb * 1_000_000,
        mise_env=options.mise_env,
        ca_bundle=Path(given).read_bytes() if (given := options.registry.ca_bundle) else b"",
        default_versions=default_versions(),
    )


def tools_for(job: ProvisionJob, host: DockerHost, emit: Emit, cancel: Event) -> Tools:
    """Everything one claimed job needs. Features resolve afresh in each job: one answer for a
    moving tag within a job, the newest one for the next."""
    options: Options = settings.CREWSHIP
    blobs = BlobStore(options.data_dir / "store")
    return Tools(
        engine=host_engine(),
        features=FeatureFetcher(OciClient(registry_options(options), cancel=cancel), blobs),
        ledger=DatabaseLedger(host=host, job_id=job.pk, fence=job.fence, cancel=cancel),
        emit=emit,
        cancel=cancel,
        options=build_options(options),
        mise=lambda platform: ensure_mise(
            MiseSource.parse(options.mise_source), platform, blobs, cancel=cancel
        ),
        credentials=partial(_image_credentials, options.registry.tokens),
        disk=partial(engine_disk, given=options.engine_disk),
    )


def _image_credentials(tokens: Mapping[str, str], registry: str) -> RegistryCredentials | None:
    found = registry_login(tokens, registry)
    if found is None:
        return None
    user, secret = found
    if user == IDENTITY_USER:
        return RegistryCredentials(username="", password="", identity_token=secret)
    return RegistryCredentials(username=user, password=secret)
