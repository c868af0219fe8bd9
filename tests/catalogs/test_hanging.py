"""A registry that hangs: the routes answer as ever, and one fetch is under way."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from catalogs.fetch import Sources
from catalogs.models import CatalogKind, CatalogState
from catalogs.refresh import refresh
from catalogs.services import mark_changed
from crewship.registry.options import RegistryOptions
from tests.conftest import Api


@pytest.fixture
def hanging(sources: Sources) -> Iterator[Sources]:
    """Connections are accepted (by the kernel) and never answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        options = RegistryOptions(
            mirrors={"ghcr.io": f"127.0.0.1:{server.getsockname()[1]}"},
            retries=0,
            connect_timeout_s=0.1,
            read_timeout_s=0.1,
            total_timeout_s=0.1,
        )
        yield replace(sources, registry=options)


@pytest.mark.django_db
def test_all_hanging_is_given_up_in_time(hanging: Sources):
    report = refresh(CatalogKind.FEATURE, hanging)
    assert report is not None
    assert len(report.errors) == 3
    assert {text.rpartition(" ")[2] for text in report.errors.values()} == {
        "[registry_unreachable]"
    }


def test_a_hundred_requests_while_a_fetch_hangs_are_answered(api: Api):
    mark_changed(CatalogKind.FEATURE)
    CatalogState.objects.update(fetching_until="2999-01-01T00:00:00Z")
    answers = [api.vera.get("/features/catalog") for _ in range(100)]
    assert {answer.status_code for answer in answers} == {200}
    assert {len(answer.json()["features"]) for answer in answers} == {16}
