"""A refresh of the feature catalog: what is taken over, what is kept, what is thrown away."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from catalogs.entries import FeatureEntry
from catalogs.fetch import Sources
from catalogs.models import CatalogEntry, CatalogKind, CatalogState
from catalogs.refresh import INTERVAL, RETRY, Report, is_due, refresh
from catalogs.selectors import feature_catalog, feature_details
from catalogs.services import hide
from tests.catalogs.conftest import DEVCONTAINERS, EXTRA, OWN, Publish, feature
from tests.registry.server import ScriptedRegistry

pytestmark = pytest.mark.django_db

FEATURES = CatalogKind.FEATURE
FALLBACK = 16  # twelve of others, four of ours that no other has


@pytest.fixture
def fetch(sources: Sources, registry: ScriptedRegistry) -> Any:
    def run(given: Sources = sources) -> Report:
        report = refresh(FEATURES, given, registry.transport)
        assert report is not None
        return report

    return run


def listed() -> dict[str, FeatureEntry]:
    return {entry.ref: entry for entry in feature_catalog().listed}


def test_a_published_feature_is_listed_under_its_major_tag(publish: Publish, fetch: Any):
    publish(
        DEVCONTAINERS, feature("apache-maven", "3.14.2", name="Maven", description="Builds Java.")
    )
    assert fetch().counts == {DEVCONTAINERS: 1}
    entry = listed()[f"{DEVCONTAINERS}/apache-maven:3"]
    assert (entry.name, entry.description) == ("Maven", "Builds Java.")
    assert (entry.category, entry.icon, entry.size_hint) == ("languages", "code", "")
    assert len(listed()) == FALLBACK + 1


def test_a_fetched_entry_keeps_the_bundled_icon_and_size(publish: Publish, fetch: Any):
    publish(DEVCONTAINERS, feature("python", "2.0.1", name="Python!", description="New."))
    fetch()
    entry = listed()[f"{DEVCONTAINERS}/python:2"]
    assert (entry.name, entry.description) == ("Python!", "New.")
    assert entry.size_hint == "~80 MB"
    assert len(listed()) == FALLBACK


@pytest.mark.parametrize(
    ("feature_id", "name", "category", "icon"),
    [
        ("mongodb-shell", "", "databases", "database"),
        ("aws-cdk", "", "cloud", "cloud"),
        ("django-upgrade", "", "tools", "wrench"),
        ("x", "Erlang OTP", "languages", "code"),
        ("go-redis", "", "languages", "code"),
    ],
)
def test_categories_follow_whole_words(
    publish: Publish, fetch: Any, feature_id: str, name: str, category: str, icon: str
):
    publish(EXTRA, feature(feature_id, name=name))
    fetch()
    entry = listed()[f"{EXTRA}/{feature_id}:1"]
    assert (entry.category, entry.icon) == (category, icon)


def test_one_feature_of_three_publishers_is_the_best_ranked_ones(publish: Publish, fetch: Any):
    for namespace in (OWN, EXTRA, DEVCONTAINERS):
        publish(namespace, feature("shared"))
    fetch()
    assert [ref for ref in listed() if "/shared:" in ref] == [f"{DEVCONTAINERS}/shared:1"]


def test_of_unranked_publishers_the_smaller_reference_is_listed(
    publish: Publish, fetch: Any, sources: Sources
):
    publish("ghcr.io/zed/features", feature("shared"))
    publish("ghcr.io/acme/features", feature("shared"))
    fetch(replace(sources, publishers=("ghcr.io/zed/features", "ghcr.io/acme/features")))
    assert [ref for ref in listed() if "/shared:" in ref] == ["ghcr.io/acme/features/shared:1"]


def test_options_are_kept_in_their_order(publish: Publish, fetch: Any):
    options = {
        "version": {"type": "string", "default": "latest", "proposals": ["latest", "3"]},
        "ant": {"type": "boolean", "default": False, "description": "Ant\ntoo"},
        "broken": "text",
    }
    publish(DEVCONTAINERS, feature("java", options=options))
    fetch()
    version, ant = feature_details(f"{DEVCONTAINERS}/java").options or ()
    assert version["proposals"] == ["latest", "3"]
    assert ant == {
        "name": "ant",
        "type": "boolean",
        "default": False,
        "description": "Ant too",
        "enum": [],
        "proposals": [],
    }


@pytest.mark.parametrize(
    "broken",
    [
        "text",
        None,
        {},
        {"id": "x"},
        {"id": 7, "version": "1.0.0"},
        {"id": "../x", "version": "1.0.0"},
        {"id": "x", "version": "one"},
        {"id": "x", "version": "1.0.0", "deprecated": True},
        {"id": "x" * 101, "version": "1.0.0"},
    ],
)
def test_broken_and_deprecated_features_are_left_out(publish: Publish, fetch: Any, broken: Any):
    publish(DEVCONTAINERS, broken, feature("fine"))
    assert fetch().counts == {DEVCONTAINERS: 1}


def test_control_characters_of_a_publisher_go_nowhere(publish: Publish, fetch: Any):
    publish(DEVCONTAINERS, feature("x", name="a\x00b\x1b[31m", description="\ud800" + "y" * 5000))
    fetch()
    entry = listed()[f"{DEVCONTAINERS}/x:1"]
    assert entry.name == "a b [31m"
    assert entry.description == "y" * 1000


def test_a_publisher_that_is_down_keeps_its_last_good_copy(
    publish: Publish, fetch: Any, registry: ScriptedRegistry
):
    publish(DEVCONTAINERS, feature("one"))
    publish(EXTRA, feature("two"))
    fetch()
    registry.answers.clear()
    publish(EXTRA, feature("three"))
    report = fetch()
    assert set(report.errors) == {DEVCONTAINERS, OWN}
    assert f"{DEVCONTAINERS}/one:1" in listed()
    assert f"{EXTRA}/three:1" in listed()
    assert f"{EXTRA}/two:1" not in listed()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"features": {}}', b'{"features": []}', b"[" * 100_000]
)
def test_a_collection_without_features_is_a_failure(publish: Publish, fetch: Any, body: bytes):
    publish(DEVCONTAINERS, feature("one"))
    fetch()
    publish(DEVCONTAINERS, body=body)
    assert "[collection_invalid]" in fetch().errors[DEVCONTAINERS]
    assert f"{DEVCONTAINERS}/one:1" in listed()


def test_a_collection_with_another_digest_is_refused(
    publish: Publish, fetch: Any, registry: ScriptedRegistry
):
    publish(DEVCONTAINERS, feature("one"))
    (blob,) = (url for url in registry.answers if "/blobs/" in url)
    answer = registry.answers[blob]
    assert isinstance(answer, httpx.Response)
    registry.answers[blob] = httpx.Response(200, content=answer.content.replace(b"one", b"two"))
    assert "[digest_mismatch]" in fetch().errors[DEVCONTAINERS]


def test_an_image_is_no_collection(fetch: Any, registry: ScriptedRegistry):
    base = "https://ghcr.io/v2/devcontainers/features"
    registry.publish(base, "latest", None, b"archive")
    assert "[collection_invalid]" in fetch().errors[DEVCONTAINERS]


def test_all_refusing_leaves_the_fallback(fetch: Any):
    report = fetch()
    assert report.counts == {}
    assert len(listed()) == FALLBACK
    state = CatalogState.objects.get(pk=FEATURES)
    assert state.fetched_at is None
    assert f"{DEVCONTAINERS}: " in state.error


def test_a_publisher_that_is_not_allowed_any_more_is_forgotten(
    publish: Publish, fetch: Any, sources: Sources
):
    publish(EXTRA, feature("two"))
    fetch()
    fetch(replace(sources, publishers=(DEVCONTAINERS,)))
    assert f"{EXTRA}/two:1" not in listed()


def test_an_operators_word_survives_a_refresh(publish: Publish, fetch: Any):
    publish(EXTRA, feature("two"))
    fetch()
    hide(CatalogEntry.objects.get(key=f"{EXTRA}/two"))
    fetch()
    assert f"{EXTRA}/two:1" not in listed()


def test_nothing_new_keeps_the_etag(publish: Publish, fetch: Any):
    publish(EXTRA, feature("two"))
    fetch()
    before = feature_catalog().etag
    fetch()
    assert feature_catalog().etag == before
    publish(EXTRA, feature("three"))
    fetch()
    assert feature_catalog().etag != before


def test_a_second_fetch_at_once_is_not_made(sources: Sources, registry: ScriptedRegistry):
    seen: list[Report | None] = []

    def another(request: httpx.Request) -> httpx.Response:
        seen.append(refresh(FEATURES, sources, registry.transport))
        return httpx.Response(404)

    registry.answers["https://ghcr.io/v2/devcontainers/features/manifests/latest"] = another
    assert refresh(FEATURES, sources, registry.transport) is not None
    assert seen == [None]


def test_a_fetch_that_died_gives_way(fetch: Any):
    past = timezone.now() - timedelta(seconds=1)
    CatalogState.objects.create(kind=FEATURES, fetching_until=past)
    assert fetch().errors


@pytest.mark.parametrize(
    ("fetched", "age", "due"),
    [
        (True, INTERVAL - timedelta(minutes=1), False),
        (True, INTERVAL + timedelta(minutes=1), True),
        (False, RETRY - timedelta(minutes=1), False),
        (False, RETRY + timedelta(minutes=1), True),
    ],
)
def test_when_a_refresh_is_due(fetched: bool, age: timedelta, due: bool):
    then = timezone.now() - age
    CatalogState.objects.create(
        kind=FEATURES, attempted_at=then, fetched_at=then if fetched else None
    )
    assert is_due(FEATURES) is due


def test_a_catalog_that_was_never_fetched_is_due():
    assert is_due(FEATURES)
