"""GET /features/catalog, /features/catalog/{ref} and /runtimes/catalog."""

from __future__ import annotations

from typing import Any

import pytest

from catalogs.models import CatalogEntry
from catalogs.services import save_custom
from crewship.crews.models import Crew
from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem

FEATURE_FIELDS = ["ref", "name", "description", "category", "icon", "size_hint"]
RUNTIME_FIELDS = [
    "name",
    "tool",
    "description",
    "category",
    "icon",
    "versions",
    "default_version",
    "backends",
]
OWN = "ghcr.io/crewship-ai/features"
WELL_KNOWN = {
    "ghcr.io/devcontainers/features/common-utils:2",
    "ghcr.io/devcontainers/features/python:1",
    "ghcr.io/devcontainers/features/node:1",
    "ghcr.io/devcontainers/features/go:1",
    "ghcr.io/devcontainers/features/rust:1",
    "ghcr.io/devcontainers/features/dotnet:2",
    "ghcr.io/devcontainers/features/github-cli:1",
    "ghcr.io/devcontainers/features/aws-cli:1",
    "ghcr.io/devcontainers/features/azure-cli:1",
    "ghcr.io/devcontainers/features/kubectl-helm-minikube:1",
    "ghcr.io/devcontainers/features/docker-in-docker:2",
    "ghcr.io/devcontainers/features/terraform:1",
}


def features(api: Api, query: str = "") -> list[dict[str, Any]]:
    answer = api.vera.get(f"/features/catalog{query}")
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["features"]
    return found


def runtimes(api: Api, query: str = "") -> list[dict[str, Any]]:
    answer = api.vera.get(f"/runtimes/catalog{query}")
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["runtimes"]
    return found


def custom(kind: str, ref: str, **fields: Any) -> CatalogEntry:
    entry = CatalogEntry(kind=kind, ref=ref, **fields)
    entry.full_clean()
    save_custom(entry)
    return entry


def test_nothing_fetched_is_the_fallback(api: Api):
    found = features(api)
    assert {tuple(entry) for entry in found} == {tuple(FEATURE_FIELDS)}
    assert {entry["ref"] for entry in found} >= WELL_KNOWN
    assert {entry["ref"] for entry in found} - WELL_KNOWN == {
        f"{OWN}/{name}:1" for name in ("base-tools", "build-tools", "db-clients", "sshd")
    }
    assert [entry["ref"] for entry in found if not entry["description"]] == []


def test_the_fallback_has_thirty_runtimes(api: Api):
    found = runtimes(api)
    assert len(found) == 30
    assert {tuple(entry) for entry in found} == {tuple(RUNTIME_FIELDS)}
    assert [entry["tool"] for entry in found if not entry["description"]] == []
    (node,) = (entry for entry in found if entry["tool"] == "node")
    assert (node["versions"], node["default_version"]) == (["22", "20", "18"], "22")


@pytest.mark.parametrize("text", ["AMAZON", "aws", "Aws cLi"])
def test_search_takes_any_case_in_name_and_description(api: Api, text: str):
    found = features(api, f"?search={text}")
    assert [entry["name"] for entry in found] == ["AWS CLI"]


def test_search_takes_the_category(api: Api):
    found = features(api, "?search=language")
    assert {entry["category"] for entry in found if "anguage" not in entry["description"]} == {
        "languages"
    }


@pytest.mark.parametrize("text", ["no such thing", "%00", "%25", "*"])
def test_a_search_without_hits_is_an_empty_list(api: Api, text: str):
    assert features(api, f"?search={text}") == []
    assert runtimes(api, f"?search={text}") == []


@pytest.mark.parametrize("path", ["/features/catalog", "/runtimes/catalog"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_a_known_list_is_a_304_without_body(api: Api, path: str, form: str):
    etag = api.vera.get(path)["ETag"]
    again = api.bob.get(path, HTTP_IF_NONE_MATCH=form.format(etag))
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)


@pytest.mark.parametrize("given", ['"other"', "broken", ""])
def test_another_etag_is_answered_in_full(api: Api, given: str):
    assert api.vera.get("/features/catalog", HTTP_IF_NONE_MATCH=given).status_code == 200


def test_the_etag_of_a_search_is_its_own(api: Api):
    whole = api.vera.get("/features/catalog")["ETag"]
    part = api.vera.get("/features/catalog?search=go")["ETag"]
    assert whole != part
    assert api.vera.get("/features/catalog?search=GO")["ETag"] == part


def test_an_operators_change_is_a_new_etag(api: Api):
    before = api.vera.get("/runtimes/catalog")["ETag"]
    custom("runtime", "node", default_version="20")
    answer = api.vera.get("/runtimes/catalog", HTTP_IF_NONE_MATCH=before)
    assert answer.status_code == 200
    assert answer["ETag"] != before


def test_an_operators_entry_is_shown_also_of_a_foreign_publisher(api: Api):
    custom("feature", "ghcr.io/acme/features/node:3", description="Ours")
    (entry,) = features(api, "?search=ours")
    assert entry == {
        "ref": "ghcr.io/acme/features/node:3",
        "name": "Node",
        "description": "Ours",
        "category": "languages",
        "icon": "code",
        "size_hint": "",
    }
    assert {entry["ref"] for entry in features(api)} >= WELL_KNOWN


def test_a_listed_foreign_publisher_is_refused_when_a_crew_is_saved(api: Api):
    custom("feature", "ghcr.io/acme/features/node:3")
    config = '{"image": "debian:bookworm-slim", "features": {"ghcr.io/acme/features/node:3": {}}}'
    body = {"name": "New", "slug": "new", "devcontainer_config": config}
    errors = problem(api.alice.post("/crews", body), 400)["errors"]
    assert [error["code"] for error in errors] == ["publisher_not_allowed"]


def test_a_listed_foreign_publisher_is_refused_when_a_stored_crew_is_provisioned(
    api: Api, cast: Cast, host: object
):
    """It was allowed when the crew was saved; that it is listed does not make it so again."""
    custom("feature", "ghcr.io/acme/features/node:3")
    config = '{"features": {"ghcr.io/acme/features/node:3": {}}}'
    Crew.objects.filter(pk=cast.crew.pk).update(devcontainer_config=config)
    for verb in ("provision", "rebuild"):
        answer = api.alice.post(f"/crews/{cast.crew.pk}/{verb}")
        problem(answer, 400, "publisher_not_allowed")


def test_an_operator_changes_a_bundled_entry(api: Api):
    custom("feature", "ghcr.io/devcontainers/features/python:2", name="Snake")
    (entry,) = features(api, "?search=snake")
    assert entry["ref"] == "ghcr.io/devcontainers/features/python:2"
    assert entry["size_hint"] == "~80 MB"
    assert len(features(api)) == 16


def test_a_hidden_entry_vanishes(api: Api):
    custom("runtime", "node", hidden=True)
    assert "node" not in {entry["tool"] for entry in runtimes(api)}


def test_where_the_best_is_hidden_the_next_publishers_is_shown(api: Api):
    custom("feature", "ghcr.io/devcontainers/features/node:1", hidden=True)
    found = {entry["ref"] for entry in features(api)}
    assert "ghcr.io/devcontainers/features/node:1" not in found
    assert f"{OWN}/node:1" in found


@pytest.mark.parametrize("tag", [":1", ":latest", ""])
def test_a_feature_is_shown_with_its_options(api: Api, tag: str):
    answer = api.vera.get(f"/features/catalog/{OWN}/sshd{tag}")
    assert answer.status_code == 200
    assert answer.json()["ref"] == f"{OWN}/sshd:1"
    assert answer.json()["options"] == [
        {
            "name": "port",
            "type": "string",
            "default": "2222",
            "description": "The port the server listens on; above 1023, because it runs without "
            "root.",
            "enum": [],
            "proposals": ["2222", "2022"],
        }
    ]


def test_a_feature_that_is_listed_as_anothers_has_its_details(api: Api):
    assert api.vera.get(f"/features/catalog/{OWN}/node:1").json()["name"] == "Node.js (Debian)"


def test_options_that_were_never_fetched_are_null(api: Api):
    answer = api.vera.get("/features/catalog/ghcr.io/devcontainers/features/go:1")
    assert answer.json()["options"] is None


def test_an_unknown_feature_is_404(api: Api):
    problem(api.vera.get("/features/catalog/ghcr.io/acme/features/x:1"), 404, "feature_unknown")


@pytest.mark.parametrize("ref", ["x", "ghcr.io", "./local", "ghcr.io/a/b:%00"])
def test_a_malformed_reference_is_400(api: Api, ref: str):
    problem(api.vera.get(f"/features/catalog/{ref}"), 400, "invalid_ref")


def test_a_request_costs_one_query_more_than_the_caller(
    api: Api, django_assert_max_num_queries: Any
):
    features(api)
    with django_assert_max_num_queries(3):  # token, its last use, the catalog's revision
        features(api)
