"""The images page: numbers, who uses what, and the refusal explained."""

from __future__ import annotations

import pytest

from cache.models import CachedImage, Layer
from cache.usage import cache_use
from tests.cast import Cast, make_crew
from tests.conftest import ImageMaker, image_id_of
from tests.dashboard.conftest import Browse


def layer(host, name: str, size: int, parent: str = "base") -> Layer:
    return Layer.objects.create(
        host=host,
        key=name,
        tag=f"crewship-layer:{name}",
        kind="feature",
        label=name,
        image_id=image_id_of(name),
        parent_image_id=image_id_of(parent),
        size_bytes=size,
        job_id="job_x",
        last_used_at="2026-01-01T00:00:00Z",
    )


def test_shared_layers_are_counted_once(host, make_image: ImageMaker):
    layer(host, "user", 1000)
    layer(host, "node", 1300, "user")
    provenance = {"layers": [{"key": "user"}, {"key": "node"}, {"key": "own"}]}
    for number, size in ((1, 1310), (2, 1350)):
        make_image(
            str(number) * 64,
            size_bytes=size,
            parent_image_id=image_id_of("node"),
            provenance=provenance,
        )
    use = cache_use(host)
    assert use.used_bytes == 1000 + 300 + 10 + 50
    assert {(row.own_bytes, row.layers, row.shared) for row in use.images} == {
        (10, 2, 2),
        (50, 2, 2),
    }


def test_a_sweep_would_free_what_nobody_uses(cast: Cast, host, cached: CachedImage, make_image):
    make_image("e" * 64, age_s=10**6, size_bytes=5000)
    use = cache_use(host)
    assert (use.sweep_images, use.sweep_bytes) == (1, 5000)


def test_the_page_names_own_crews_only(cast: Cast, browse: Browse, cached: CachedImage):
    cast.strange_crew.config_hash, cast.strange_crew.cached_image = cached.config_hash, cached.tag
    cast.strange_crew.save()
    assert ">Backend</a>" in browse.vera.get("/w/acme/images").content.decode()
    page = browse.mallory.get("/w/evil/images").content.decode()
    assert ">Strange</a>" in page
    assert "Backend" not in page


def test_a_refused_delete_says_who_needs_the_image(cast: Cast, browse: Browse, cached: CachedImage):
    answer = browse.alice.post("/w/acme/images/delete", {"tag": cached.tag}, follow=True)
    page = answer.content.decode()
    assert "Backend uses it." in page
    assert "after that crew&#x27;s config has changed or the crew is deleted" in page
    assert CachedImage.objects.filter(pk=cached.pk, deleting_at=None).exists()


def test_a_refused_delete_names_no_other_workspaces_crew(
    cast: Cast, browse: Browse, cached: CachedImage
):
    answer = browse.mallory.post("/w/evil/images/delete", {"tag": cached.tag}, follow=True)
    page = answer.content.decode()
    assert "another workspace on this host uses it" in page
    assert "Backend" not in page


@pytest.mark.parametrize(("name", "status"), [("mona", 403), ("vera", 403), ("mallory", 404)])
def test_who_may_not_delete_gets_no_further(browse: Browse, name: str, status: int):
    assert getattr(browse, name).post("/w/acme/images/delete", {"tag": "x"}).status_code == status
    if status == 403:
        assert "delete-" not in getattr(browse, name).get("/w/acme/images").content.decode()


def test_the_number_of_queries_does_not_grow_with_the_images(
    cast: Cast, browse: Browse, make_image, django_assert_max_num_queries
):
    for number in range(40):
        record = make_image(f"{number:02x}" * 32)
        crew = make_crew(cast.workspace, f"crew-{number}")
        crew.cached_image = record.tag
        crew.save()
    browse.vera.get("/w/acme/images")
    with django_assert_max_num_queries(22):
        browse.vera.get("/w/acme/images")
