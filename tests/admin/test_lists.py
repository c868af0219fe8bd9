"""Lists cost the same number of queries for one row and for many, and count no events."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cache.models import CachedImage, DockerHost, Layer, UpkeepProblem
from crewship.crews.models import Agent, Crew
from crewship.domain.roles import Role
from crewship.workspaces.models import ApiToken, User, Workspace
from provisioning.models import AgentVolume, JobEvent, ProvisionJob
from provisioning.states import JobState
from tests.admin.pages import Pages
from tests.cast import Cast, make_crew, make_person
from tests.conftest import ImageMaker, JobMaker

# Session and user are two; the count and the rows are two; a filter by workspace or host, one.
QUERIES: dict[type[Model], int] = {
    User: 4,
    Workspace: 4,
    ApiToken: 4,
    Crew: 7,  # the filter; latest jobs and present images for the statuses
    Agent: 4,
    AgentVolume: 5,
    ProvisionJob: 5,
    CachedImage: 5,
    Layer: 6,  # filters by kind and host
    DockerHost: 4,
    UpkeepProblem: 6,  # filters by kind and host
}


@pytest.fixture
def rows(cast: Cast, host: DockerHost, make_job: JobMaker, make_image: ImageMaker) -> None:
    """A row of everything, and on the second call another."""
    _add_rows("one", host, make_job, make_image)


def _add_rows(name: str, host: DockerHost, make_job: JobMaker, make_image: ImageMaker) -> None:
    workspace = Workspace.objects.create(slug=f"work-{name}", name=name)
    make_person(name, workspace, Role.OWNER)
    crew = make_crew(workspace, f"crew-{name}", {"image": f"debian:{name}"})
    Agent.objects.create(crew=crew, name=f"agent-{name}")
    AgentVolume.objects.create(
        host_name=host.name, name=f"volume-{name}", crew_id=crew.pk, target="/data"
    )
    image = make_image(crew.config_hash or "")
    Crew.objects.filter(pk=crew.pk).update(cached_image=image.tag)
    job = make_job(crew, JobState.COMPLETED)
    JobEvent.objects.create(job=job, seq=1, kind="log.system", data={"text": name})
    Layer.objects.create(
        host=host, key="k", tag=f"crewship-layer:{name}", kind="feature", label=name,
        last_used_at=timezone.now(),
    )  # fmt: skip
    DockerHost.objects.create(name=f"host-{name}", heartbeat_at=timezone.now())
    now = timezone.now()
    UpkeepProblem.objects.create(
        host=host, kind="remove image", name=name, first_at=now, last_at=now, retry_at=now
    )


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("model", "number"), QUERIES.items(), ids=lambda m: getattr(m, "__name__", "")
)
def test_a_list_needs_the_same_queries_for_many_rows(
    admin: Pages,
    model: type[Model],
    number: int,
    host: DockerHost,
    make_job: JobMaker,
    make_image: ImageMaker,
):
    for name in ("two", "three", "four"):
        _add_rows(name, host, make_job, make_image)
    with CaptureQueriesContext(
        connection,
    ) as made:
        assert admin.list(model).status_code == 200
    sql = [query["sql"] for query in made]
    assert len(sql) == number, "\n".join(sql)
    assert not any("provisioning_jobevent" in query for query in sql)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("model", [Crew, Agent, ProvisionJob])
def test_a_list_does_not_read_the_texts(admin: Pages, model: type[Model]):
    with CaptureQueriesContext(connection) as made:
        admin.list(model)
    table = model._meta.db_table
    (rows,) = [q["sql"] for q in made if f'FROM "{table}"' in q["sql"] and "ORDER BY" in q["sql"]]
    assert "devcontainer_config" not in rows


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("model", "query"),
    [
        (User, "one@"), (Workspace, "work-one"), (ApiToken, "one"), (Crew, "crew-one"),
        (Agent, "agent-one"), (ProvisionJob, "crew-one"), (CachedImage, "crewship-cache"),
        (Layer, "one"), (DockerHost, "host-one"), (AgentVolume, "volume-one"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_a_list_can_be_searched(admin: Pages, model: type[Model], query: str):
    found: Any = admin.list(model, q=query).context["cl"]
    assert found.result_count == 1
