"""The OpenAPI document: who may read it, which routes and status codes it names, how lists look."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client as Browser

from tests.cast import Cast
from tests.conftest import Api
from tests.problem import problem

# CONTRACT.md's tables; these are every route's, and 413 is of those that read a body (415).
EVERYWHERE = {"401", "406", "429", "500"}
STATUSES = {
    ("get", "/me"): {"200"},
    ("get", "/workspaces"): {"200", "404"},
    ("get", "/members"): {"200", "400", "403", "404"},
    ("post", "/members"): {"201", "400", "403", "404", "409", "415"},
    ("patch", "/members/{member_id}"): {"200", "400", "403", "404", "409", "415"},
    ("delete", "/members/{member_id}"): {"204", "400", "403", "404", "409"},
    ("get", "/audit"): {"200", "400", "403", "404"},
    ("get", "/tokens"): {"200", "400", "404"},
    ("post", "/tokens"): {"201", "400", "403", "404", "415"},
    ("delete", "/tokens/{token_id}"): {"204", "400", "404"},
    ("get", "/crews/{crew_id}/provision"): {"200", "400", "404"},
    ("post", "/crews/{crew_id}/provision"): {"202", "400", "403", "404", "409", "503"},
    ("post", "/crews/{crew_id}/rebuild"): {"202", "400", "403", "404", "409", "503"},
    ("post", "/crews/{crew_id}/refresh-image"): {"202", "400", "403", "404", "409", "503"},
    ("get", "/crews/{crew_id}/image-status"): {"200", "400", "404"},
    ("post", "/crews/{crew_id}/restart-agents"): {"200", "400", "403", "404", "503"},
    ("post", "/crews/{crew_id}/provision/cancel"): {"200", "400", "403", "404"},
    ("get", "/crews/{crew_id}/provision/events"): {"200", "400", "404", "410"},
    ("get", "/events"): {"200", "400", "404"},
    ("post", "/crews/import"): {"201", "400", "403", "404", "415"},
    ("get", "/crews/{crew_id}/export"): {"200", "400", "404"},
    ("post", "/crews/{crew_id}/plan"): {"200", "400", "403", "404", "415"},
    ("post", "/plan"): {"200", "400", "403", "404", "415"},
    ("get", "/features/catalog"): {"200", "304"},
    ("get", "/features/catalog/{ref}"): {"200", "400", "404"},
    ("get", "/runtimes/catalog"): {"200", "304"},
    ("get", "/cache/images"): {"200", "400", "404"},
    ("delete", "/cache/images/{tag}"): {"204", "400", "403", "404", "409", "503"},
    ("get", "/crews"): {"200", "400", "404"},
    ("post", "/crews"): {"201", "400", "403", "404", "415"},
    ("get", "/crews/{crew_id}"): {"200", "400", "404"},
    ("patch", "/crews/{crew_id}"): {"200", "400", "403", "404", "415"},
    ("delete", "/crews/{crew_id}"): {"204", "400", "403", "404", "409"},
    ("get", "/crews/{crew_id}/agents"): {"200", "400", "404"},
    ("post", "/crews/{crew_id}/agents"): {"201", "400", "403", "404", "409", "415"},
    ("get", "/crews/{crew_id}/agents/{agent_id}"): {"200", "400", "404"},
    ("patch", "/crews/{crew_id}/agents/{agent_id}"): {"200", "400", "403", "404", "415", "503"},
    ("delete", "/crews/{crew_id}/agents/{agent_id}"): {"204", "400", "403", "404"},
    ("post", "/crews/{crew_id}/agents/{agent_id}/start"): {
        "202",
        "400",
        "403",
        "404",
        "409",
        "503",
    },
    ("post", "/crews/{crew_id}/agents/{agent_id}/stop"): {"202", "400", "403", "404"},
    ("get", "/crews/{crew_id}/agents/{agent_id}/logs"): {"200", "400", "403", "404"},
    ("get", "/crews/{crew_id}/jobs"): {"200", "400", "404"},
    ("get", "/crews/{crew_id}/lock"): {"200", "400", "404"},
    ("get", "/jobs/{job_id}"): {"200", "400", "404"},
    ("get", "/jobs/{job_id}/log"): {"200", "400", "404", "410"},
}


@pytest.fixture
def schema(api: Api) -> dict[str, Any]:
    document: dict[str, Any] = api.vera.get("/schema").json()
    return document


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path.removeprefix("/api/v1"), operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def success_schema(operation: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return answer


def component(schema: dict[str, Any], ref: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["components"]["schemas"][ref["$ref"].rpartition("/")[2]]
    return found


def test_the_document_is_valid_and_made_without_a_warning():
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=StringIO())


def test_the_document_is_json_for_whoever_is_signed_in(api: Api):
    answer = api.vera.get("/schema")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["openapi"].startswith("3.1")


def test_the_document_is_not_for_strangers(api: Api):
    problem(api.nobody.get("/schema"), 401, "not_authenticated")


@pytest.mark.parametrize(
    ("route", "statuses"), STATUSES.items(), ids=lambda part: "-".join(sorted(part))
)
def test_each_route_names_its_status_codes(
    schema: dict[str, Any], route: tuple[str, str], statuses: set[str]
):
    method, path = route
    named = schema["paths"][f"/api/v1{path}"][method]["responses"]
    of_bodies = {"413"} if "415" in statuses else set()
    assert set(named) == statuses | EVERYWHERE | of_bodies


def test_every_error_is_problem_json(schema: dict[str, Any]):
    kinds = {
        media_type
        for _, _, operation in operations(schema)
        for status, response in operation["responses"].items()
        if status >= "400"
        for media_type in response["content"]
    }
    assert kinds == {"application/problem+json"}


@pytest.mark.parametrize(
    "path",
    [
        "/crews",
        "/crews/{crew_id}/agents",
        "/crews/{crew_id}/jobs",
        "/members",
        "/tokens",
        "/workspaces",
    ],
)
def test_lists_are_pages(schema: dict[str, Any], path: str):
    page = component(schema, success_schema(schema["paths"][f"/api/v1{path}"]["get"]))
    assert set(page["properties"]) == {"results", "next", "previous"} == set(page["required"])
    assert page["properties"]["results"]["type"] == "array"


def test_cache_images_are_one_unpaged_object(schema: dict[str, Any]):
    answer = component(schema, success_schema(schema["paths"]["/api/v1/cache/images"]["get"]))
    assert set(answer["properties"]) == {"images"}


def test_operation_ids_are_unique(schema: dict[str, Any]):
    ids = [operation["operationId"] for _, _, operation in operations(schema)]
    assert len(ids) == len(set(ids))


def test_swagger_ui_takes_every_file_from_here(cast: Cast, client: Browser):
    client.force_login(cast.vera.user)
    page = client.get("/api/v1/docs").content.decode()
    sources = [part.split('"')[0] for part in page.split('src="')[1:] + page.split('href="')[1:]]
    assert len(sources) >= 4
    assert {source.startswith("/static/drf_spectacular_sidecar/") for source in sources} == {True}
    for source in sources:
        served = client.get(source)
        assert served.status_code == 200, source
        served.close()


def test_swagger_ui_refuses_strangers_with_a_problem(api: Api):
    problem(api.nobody.get("/docs"), 401, "not_authenticated")
