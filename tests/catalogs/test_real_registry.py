"""A refresh from Debian's docker-registry with collections pushed to it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalogs.bundled import FEATURES
from catalogs.fetch import Sources
from catalogs.models import CatalogKind
from catalogs.pack import pack_features, push_layout
from catalogs.refresh import refresh
from crewship.registry.options import RegistryOptions
from provisioning.management.commands import refresh_catalogs
from tests.catalogs.conftest import DEVCONTAINERS, EXTRA, OWN
from tests.conftest import Api
from tests.registry.server import running_registry


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """A publisher's layout with one feature, ``tool`` 2.1.0."""
    folder = tmp_path / "source" / "tool"
    folder.mkdir(parents=True)
    metadata = {"id": "tool", "version": "2.1.0", "options": {"word": {"type": "string"}}}
    (folder / "devcontainer-feature.json").write_text(json.dumps(metadata))
    (folder / "install.sh").write_text("#!/bin/sh\n")
    pack_features(tmp_path / "source", tmp_path / "layout", DEVCONTAINERS)
    return tmp_path / "layout"


@pytest.mark.registry
def test_collections_that_were_pushed_are_listed_one_publisher_down(
    tmp_path: Path, layout: Path, sources: Sources, api: Api
):
    pack_features(FEATURES, tmp_path / "own", OWN)
    with running_registry(tmp_path) as host:
        push_layout(layout, f"http://{host}/devcontainers/features")
        push_layout(tmp_path / "own", f"http://{host}/crewship-ai/features")
        options = RegistryOptions(mirrors={"ghcr.io": host})
        report = refresh(CatalogKind.FEATURE, replace(sources, registry=options))
    assert report is not None
    assert report.counts == {DEVCONTAINERS: 1, OWN: 6}
    assert set(report.errors) == {EXTRA}
    refs = [entry["ref"] for entry in api.vera.get("/features/catalog").json()["features"]]
    assert len(refs) == 17
    assert f"{DEVCONTAINERS}/tool:2" in refs
    details = api.vera.get(f"/features/catalog/{DEVCONTAINERS}/tool:2").json()
    assert [option["name"] for option in details["options"]] == ["word"]


@pytest.mark.django_db
def test_the_command_says_what_it_brought(
    layout: Path,
    sources: Sources,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    options = RegistryOptions(layouts={DEVCONTAINERS: layout})
    given = replace(sources, registry=options, publishers=(DEVCONTAINERS,))
    monkeypatch.setattr(refresh_catalogs, "catalog_sources", lambda _: given)
    call_command("refresh_catalogs")
    said = capsys.readouterr()
    assert said.out == f"feature: 1 from {DEVCONTAINERS}\n"
    assert said.err.startswith("runtime: mise: mise can't be run")


@pytest.mark.django_db
def test_the_command_fails_when_nothing_was_brought(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
):
    given = replace(sources, publishers=())
    monkeypatch.setattr(refresh_catalogs, "catalog_sources", lambda _: given)
    with pytest.raises(CommandError, match="last good copies stay"):
        call_command("refresh_catalogs")
