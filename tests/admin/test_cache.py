"""The image cache and the hosts: looked at; an unused image is deleted through the service."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cache.models import CachedImage, DockerHost, Layer
from crewship.crews.models import Agent
from tests.admin.pages import Pages, messages_of, text_of, url_of
from tests.cast import Cast
from tests.conftest import ImageMaker


@pytest.fixture
def removed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's watcher carries a removal out while the request waits for it."""

    def watcher_removes(seconds: float) -> None:
        CachedImage.objects.filter(deleting_at__isnull=False).delete()

    monkeypatch.setattr("cache.services.time.sleep", watcher_removes)


@pytest.mark.usefixtures("removed_at_once")
def test_an_unused_image_is_deleted(admin: Pages, make_image: ImageMaker):
    image = make_image("a" * 64)
    answer = admin.act("delete_from_host", image)
    assert messages_of(answer) == [f"success: “{image.tag}”: deleted."]
    assert not CachedImage.objects.exists()


@pytest.mark.usefixtures("removed_at_once")
def test_after_deleting_from_the_page_comes_the_list(admin: Pages, make_image: ImageMaker):
    answer = admin.act("delete_from_host", make_image("a" * 64), _page="1")
    assert answer["Location"] == "/admin/cache/cachedimage/"


def test_a_referenced_image_stays_and_every_workspaces_crews_are_named(
    admin: Pages, cast: Cast, cached: CachedImage
):
    cast.strange_crew.cached_image = cached.tag
    cast.strange_crew.save()
    (said,) = messages_of(admin.act("delete_from_host", cached))
    assert said.startswith(
        f"error: “{cached.tag}”: {cached.tag} is still in use. [image_referenced]"
    )
    assert said.endswith(f"Crews: {cast.crew.pk}, {cast.strange_crew.pk}.")
    assert CachedImage.objects.get().deleting_at is None


def test_an_image_that_a_live_agent_runs_stays(admin: Pages, cast: Cast, make_image: ImageMaker):
    image = make_image("a" * 64)
    Agent.objects.create(crew=cast.strange_crew, name="writer", live_image_id=image.image_id)
    (said,) = messages_of(admin.act("delete_from_host", image))
    assert "[image_referenced]" in said
    assert cast.strange_crew.pk in said


def test_the_page_names_crews_and_agents(admin: Pages, cast: Cast, cached: CachedImage):
    Agent.objects.create(crew=cast.crew, name="writer", live_image_id=cached.image_id)
    page = text_of(admin.page(cached))
    assert f'acme / <a href="{url_of(cast.crew)}">backend</a>' in page
    assert ">writer</a>" in page


def test_an_image_that_the_watcher_does_not_see_is_marked(admin: Pages, make_image: ImageMaker):
    make_image("a" * 64, seen=False)
    (row,) = admin.list(CachedImage).context["cl"].result_list
    assert row.on_host is False


def test_provenance_is_shown_as_json(admin: Pages, make_image: ImageMaker):
    image = make_image("a" * 64, provenance={"base": {"ref": "debian:bookworm-slim"}})
    assert '"ref": "debian:bookworm-slim"' in text_of(admin.page(image))


def test_images_layers_and_hosts_are_read_only(
    admin: Pages, host: DockerHost, make_image: ImageMaker, machine_url: Any
):
    layer = Layer.objects.create(
        host=host, key="k", tag="crewship-layer:k", kind="feature", label="node",
        last_used_at=timezone.now(),
    )  # fmt: skip
    for row in (make_image("a" * 64), layer, host):
        answer = admin.client.post(machine_url(row), {"post": "yes", "tag": "changed"})
        assert answer.status_code == 403, row


def test_a_layers_page_explains_its_key(admin: Pages, host: DockerHost):
    layer = Layer.objects.create(
        host=host, key="k", tag="crewship-layer:k", kind="feature", label="node",
        parts={"digest": "sha256:1"}, facts={"PATH": "/opt/node"}, last_used_at=timezone.now(),
    )  # fmt: skip
    page = text_of(admin.page(layer))
    assert '"digest": "sha256:1"' in page
    assert '"PATH": "/opt/node"' in page


@pytest.mark.parametrize(
    ("silent_s", "alive", "said"),
    [(1, True, "1 s ago"), (60, False, "60 s ago"), (None, False, "never")],
)
def test_a_hosts_heartbeat_age(
    admin: Pages, db: None, silent_s: int | None, alive: bool, said: str
):
    heard = None if silent_s is None else timezone.now() - timedelta(seconds=silent_s)
    DockerHost.objects.create(name="h", heartbeat_at=heard)
    page = admin.list(DockerHost)
    (row,) = page.context["cl"].result_list
    assert row.alive is alive
    assert said in text_of(page)
