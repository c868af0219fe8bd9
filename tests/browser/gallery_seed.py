"""A workspace with crews in every state, for checks and pictures of all pages: rows only, no
engine. Run by ``manage.py shell`` in the gallery's own data directory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from cache.models import CachedImage, DockerHost, HostImage, Layer
from cache.selectors import cache_tag
from crewship.crews.models import Agent, Crew
from crewship.crews.services import create_crew
from crewship.domain.roles import Role
from crewship.workspaces.invitations import invite
from crewship.workspaces.models import Membership, User, Workspace
from crewship.workspaces.tokens import make_token
from provisioning.models import JobEvent, ProvisionJob, WorkerProcess
from provisioning.pipeline.execute import STEPS
from provisioning.states import EventKind, JobState
from provisioning.transitions import record

FEATURES = "ghcr.io/devcontainers/features/"
PEOPLE = {"olga": Role.OWNER, "adam": Role.ADMIN, "mona": Role.MANAGER, "vera": Role.VIEWER}
FAILURE = (
    "install.sh of rust:1 ended with exit code 1.\n"
    "curl: (28) Connection timed out after 15001 milliseconds\n"
    "error: could not download rustup-init"
)


def seed(password: str) -> None:
    Seed().fill(password)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Seed:
    def __init__(self) -> None:
        self.now = timezone.now()
        self.acme = Workspace.objects.create(slug="acme", name="Acme Robotics")
        self.host = DockerHost.objects.create(
            name="local", platform="linux/amd64", heartbeat_at=self.now + timedelta(days=1)
        )
        WorkerProcess.objects.create(
            name="worker-1",
            host_name="local",
            machine="gallery",
            pid=1,
            heartbeat_at=self.now + timedelta(days=1),
        )

    def fill(self, password: str) -> None:
        self.people(password)
        self.ready()
        self.running()
        self.failed()
        self.others()
        self.many()

    def people(self, password: str) -> None:
        empty = Workspace.objects.create(slug="empty", name="Empty Harbour")
        for name, role in PEOPLE.items():
            user = User.objects.create_user(f"{name}@example.com", password, name=name.title())
            Membership.objects.create(workspace=self.acme, user=user, role=role)
            Membership.objects.create(workspace=empty, user=user, role=role)
        olga = User.objects.get(email="olga@example.com")
        invite(
            workspace=self.acme,
            email="nina@example.com",
            role=Role.MEMBER,
            actor=olga,
            actor_role=Role.OWNER,
        )
        make_token(user=olga, name="laptop", workspace=self.acme)
        make_token(user=olga, name="CI", role=Role.MANAGER, lifetime=timedelta(days=12))

    def ready(self) -> None:
        names = ["common-utils:2", "node:1", "python:1"]
        crew = self.crew("api-backend", "API backend", names)
        self.image(crew, names, age_s=7200)
        for number, seconds in enumerate((64, 12, 71, 55, 93, 38, 47, 88, 20)):
            state = JobState.FAILED if number % 4 == 0 else JobState.COMPLETED
            self.job(crew, state, names, ago_s=86400 * (9 - number), seconds=seconds, version="20")
        self.job(crew, JobState.COMPLETED, names, ago_s=7271, seconds=71, hits=names[:1])
        self.agent(crew, "coder", f"sha256:{sha(crew.slug)}", 3600)
        self.agent(crew, "reviewer", "sha256:older", 108_000)

    def running(self) -> None:
        names = ["node:1", "github-cli:1"]
        crew = self.crew("web-frontend", "Web frontend", names)
        self.job(crew, JobState.RUNNING, names, ago_s=34, seconds=30, hits=names[:1], upto=3)

    def failed(self) -> None:
        names = ["python:1", "rust:1"]
        crew = self.crew("ml-training", "ML training", names)
        self.job(crew, JobState.FAILED, names, ago_s=900, seconds=33, hits=names[:1], upto=3)

    def others(self) -> None:
        waiting = self.crew("data-pipeline", "Data pipeline", ["python:1", "aws-cli:1"])
        self.job(waiting, JobState.PENDING, [], ago_s=5, seconds=0)
        docs = self.crew("docs-site", "Docs site", ["node:1"])
        self.image(docs, ["node:1"], age_s=86400 * 12)
        infra = self.crew("infra", "Infrastructure", ["terraform:1"], auto_provision=True)
        self.image(infra, ["terraform:1"], age_s=400_000)
        old = self.crew("old", "Old", ["go:1"])
        self.image(old, ["go:1"], age_s=86400 * 20)
        old.delete()
        self.crew("mobile", "Mobile", ["java:1"])
        self.crew("scratchpad", "Scratchpad", None)

    def many(self) -> None:
        """A workspace of its own with 200 crews, members and images."""
        many = Workspace.objects.create(slug="many", name="Two Hundred")
        olga = User.objects.get(email="olga@example.com")
        Membership.objects.create(workspace=many, user=olga, role=Role.OWNER)
        for number in range(200):
            user = User.objects.create(email=f"person{number:03d}@example.com")
            Membership.objects.create(workspace=many, user=user, role=Role.MEMBER)
            make_token(user=olga, name=f"token {number}", workspace=many)
            config = json.dumps(
                {"image": "debian:bookworm-slim", "containerEnv": {"N": f"{number}"}}
            )
            crew, _ = create_crew(
                many,
                {
                    "name": f"Crew {number:03d}",
                    "slug": f"crew-{number:03d}",
                    "devcontainer_config": config,
                },
            )
            if number % 2:
                self.image(crew, [], age_s=number * 1000)

    def crew(self, slug: str, name: str, features: Sequence[str] | None, **more: Any) -> Crew:
        text = None
        if features is not None:
            named: dict[str, object] = {FEATURES + feature: {} for feature in features}
            text = json.dumps({"image": "debian:bookworm-slim", "features": named}, indent=2)
        values = {"name": name, "slug": slug, "devcontainer_config": text, **more}
        crew, _ = create_crew(self.acme, values)
        return crew

    def agent(self, crew: Crew, name: str, image_id: str, age_s: float) -> None:
        Agent.objects.create(
            crew=crew,
            name=name,
            command=f"claude --role {name}",
            wants_running=True,
            status="running",
            live_image_id=image_id,
            started_at=self.now - timedelta(seconds=age_s),
        )

    def image(self, crew: Crew, features: Sequence[str], *, age_s: float) -> None:
        at = self.now - timedelta(seconds=age_s)
        entries = [("user", "user agent", sha("user"))]
        entries += [("feature", name, sha(f"layer {name} 22")) for name in features]
        entries.append(("final", "postCreateCommand and config", sha(crew.slug)))
        below = "sha256:base"
        total = 75_000_000
        for number, (kind, label, key) in enumerate(entries[:-1]):
            total += 4_000_000 if kind == "user" else 61_000_000 * (number + 1)
            Layer.objects.get_or_create(
                host=self.host,
                tag=f"crewship-layer:{key[:32]}",
                defaults={
                    "key": key,
                    "kind": kind,
                    "label": label,
                    "parts": {"options": {"VERSION": "22"}},
                    "image_id": f"sha256:{key}",
                    "parent_image_id": below,
                    "size_bytes": total,
                    "job_id": "job_seeded",
                    "last_used_at": at,
                },
            )
            below = f"sha256:{key}"
        self._record(crew, entries, below, total + 9_000_000, at)

    def _record(
        self,
        crew: Crew,
        entries: Sequence[tuple[str, str, str]],
        below: str,
        size: int,
        at: datetime,
    ) -> None:
        features = [label for kind, label, _ in entries if kind == "feature"]
        image = CachedImage.objects.create(
            host=self.host,
            tag=cache_tag(crew.config_hash or ""),
            config_hash=crew.config_hash or "",
            image_id=f"sha256:{sha(crew.slug)}",
            parent_image_id=below,
            size_bytes=size,
            provenance={
                "base": {"ref": "debian:bookworm-slim", "image_id": "sha256:base", "digests": []},
                "features": [self._resolved(feature) for feature in features],
                "layers": [{"kind": k, "label": label, "key": key} for k, label, key in entries],
            },
            created_at=at,
            last_used_at=at,
        )
        HostImage.objects.create(
            host=self.host,
            tag=image.tag,
            image_id=image.image_id,
            size_bytes=size,
            updated_at=at,
        )
        crew.cached_image = image.tag
        crew.save(update_fields=["cached_image"])

    @staticmethod
    def _resolved(feature: str) -> dict[str, Any]:
        return {
            "ref": FEATURES + feature,
            "resolved": f"{FEATURES}{feature.partition(':')[0]}@sha256:{sha(feature)}",
            "version": "1.6.2",
            "options": ["version"] if feature == "node:1" else [],
            "depends_on": [],
        }

    def job(
        self,
        crew: Crew,
        state: JobState,
        features: Sequence[str],
        *,
        ago_s: float,
        seconds: float,
        hits: Sequence[str] = (),
        upto: int = 6,
        version: str = "22",
    ) -> None:
        at = self.now - timedelta(seconds=ago_s)
        job = ProvisionJob.objects.create(
            crew=crew,
            workspace=self.acme,
            host=self.host,
            config_hash=crew.config_hash or "",
            devcontainer_config=crew.devcontainer_config or "",
            created_at=at,
        )
        record(job.pk, [(EventKind.STATE, 0, {"state": "pending"})])
        if state == JobState.PENDING:
            return
        if state == JobState.FAILED:
            upto = 3
        record(job.pk, list(self._events(state, features, hits, upto, version)))
        count = JobEvent.objects.filter(job=job).count()
        for event in JobEvent.objects.filter(job=job):
            when = at + timedelta(seconds=seconds * (event.seq / count) ** 2)
            JobEvent.objects.filter(pk=event.pk).update(at=when)
        ended = None if state == JobState.RUNNING else at + timedelta(seconds=seconds)
        failed = state == JobState.FAILED
        ProvisionJob.objects.filter(pk=job.pk).update(
            state=state,
            step=upto,
            started_at=at,
            finished_at=ended,
            message=f"installing devcontainer features (2 of 2: {features[-1]})",
            heartbeat_at=self.now + timedelta(days=1),
            error=FAILURE if failed else "",
            error_code="build_step_failed" if failed else "",
            error_hint="Correct the feature's options, or try another version." if failed else "",
        )

    def _events(
        self,
        state: JobState,
        features: Sequence[str],
        hits: Sequence[str],
        upto: int,
        version: str,
    ) -> Any:  # Any: an iterator of events
        yield EventKind.STATE, 0, {"state": "running"}
        for number, entry in enumerate(STEPS[:upto], start=1):
            yield EventKind.STEP_STARTED, number, {"message": entry.message}
            if number == 2:
                text = "Base image debian:bookworm-slim is on this host"
                yield EventKind.SYSTEM, 2, {"text": text}
                yield EventKind.LAYER, 2, layer("user", "user agent", sha("user"), hit=True)
            if number == 3:
                yield from self._features(state, features, hits, version)
            if number < upto or state == JobState.COMPLETED:
                yield EventKind.STEP_DONE, number, {}
        if state == JobState.FAILED:
            yield EventKind.STEP_FAILED, upto, {"error": FAILURE}

    def _features(
        self, state: JobState, features: Sequence[str], hits: Sequence[str], version: str
    ) -> Any:  # Any: an iterator of events
        for name in features:
            hit = name in hits
            said = "is there already" if hit else "is being installed"
            yield EventKind.SYSTEM, 3, {"text": f"Feature {name} {said}"}
            if not hit:
                yield EventKind.OUTPUT, 3, {"lines": output(name)}
                if name == features[-1] and state != JobState.COMPLETED:
                    return
            key = sha(f"layer {name} {version if not hit else 22}")
            yield EventKind.LAYER, 3, layer("feature", name, key, hit=hit)


def layer(kind: str, label: str, key: str, *, hit: bool) -> dict[str, Any]:
    seconds = 0.0 if hit else 14.2
    return {"kind": kind, "label": label, "key": key, "hit": hit, "seconds": seconds}


def output(name: str) -> list[str]:
    lines = [
        f"\x1b[32m✔\x1b[0m Get:{n} http://deb.debian.org/debian bookworm/main amd64 lib{n}"
        for n in range(1, 40)
    ]
    long = "a line that is longer than the pane is wide, " * 4
    return [*lines, f"\x1b[1;33mwarning:\x1b[0m {long}", f"\x1b[31merror\x1b[0m: {name}"]
