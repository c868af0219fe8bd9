"""A refresh of the runtime catalog with a mise that is in the store, or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from catalogs import fetch
from catalogs.entries import RuntimeEntry
from catalogs.fetch import Sources
from catalogs.models import CatalogEntry, CatalogKind
from catalogs.refresh import refresh
from catalogs.selectors import default_versions, runtime_catalog
from catalogs.services import delete_custom, save_custom

pytestmark = pytest.mark.django_db

RUNTIMES = CatalogKind.RUNTIME


def listed() -> Mapping[str, RuntimeEntry]:
    return {entry.key: entry for entry in runtime_catalog().listed}


def errors(sources: Sources) -> str:
    report = refresh(RUNTIMES, sources)
    assert report is not None
    assert report.counts == {}
    return report.errors["mise"]


def test_mises_registry_goes_over_the_bundled_list(sources: Sources, mise_prints: Any):
    rows = [
        {"short": "node", "backends": ["core:node"], "description": "JS (Builtin plugin)"},
        {"short": "mongosh", "backends": ["npm:mongosh", "aqua:a/b", "npm:other"]},
        {"short": "go", "backends": "none", "description": None},
        {"short": "../bad"},
        "text",
    ]
    mise_prints(json.dumps(rows))
    assert refresh(RUNTIMES, sources) is not None
    found = listed()
    assert len(found) == 31
    assert found["mongosh"] == RuntimeEntry(
        key="mongosh",
        name="Mongosh",
        category="databases",
        icon="database",
        backends=("npm", "aqua"),
    )
    node = found["node"]
    assert (node.name, node.description, node.backends) == ("Node.js", "JS", ("core",))
    assert (node.versions, node.default_version) == (("22", "20", "18"), "22")
    assert found["go"].description


@pytest.mark.parametrize(
    ("printed", "then", "said"),
    [
        ("[]", "", "mise lists no tool."),
        ("oops", "", "mise printed no JSON."),
        ("[]", "exit 3", "mise ended with 3."),
        ('{"a": 1}', "", "mise lists no tool."),
    ],
)
def test_a_mise_that_fails_leaves_the_last_good_copy(
    sources: Sources, mise_prints: Any, printed: str, then: str, said: str
):
    mise_prints('[{"short": "zola"}]')
    refresh(RUNTIMES, sources)
    mise_prints(printed, then)
    assert errors(sources) == f"{said} [mise_unavailable]"
    assert "zola" in listed()


def test_a_mise_that_hangs_is_given_up(
    sources: Sources, mise_prints: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fetch, "MISE_TIMEOUT_S", 0.2)
    mise_prints("[]", "exec sleep 60")
    assert "did not finish within 0.2 s" in errors(sources)


def test_a_mise_that_floods_is_refused(
    sources: Sources, mise_prints: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fetch, "MISE_LIMIT", 10)
    mise_prints('[{"short": "zola"}]')
    assert "more than 10 bytes" in errors(sources)


@pytest.mark.parametrize("source", ["npm", "https://example.com/mise#sha256=" + "a" * 64, "x"])
def test_without_a_mise_nothing_is_downloaded(sources: Sources, source: str):
    assert "[mise_unavailable]" in errors(replace(sources, mise=source))
    assert len(listed()) == 30


def test_an_absent_mise_is_an_error_not_a_crash(sources: Sources):
    assert "can't be run" in errors(sources)


def test_default_versions_are_the_bundled_ones_at_first():
    assert default_versions()["node"] == "22"
    assert "gcloud" not in default_versions()


def test_an_operators_default_version_goes_over_the_bundled_one():
    entry = CatalogEntry(kind=RUNTIMES, ref="node", default_version="20", hidden=True)
    entry.full_clean()
    save_custom(entry)
    assert default_versions()["node"] == "20"
    delete_custom([entry])
    assert default_versions()["node"] == "22"
