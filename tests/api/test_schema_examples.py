"""The OpenAPI document's examples: every body has one, and it is as its schema says."""

from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from crewship.api.examples import EXAMPLES


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(  # type: ignore[no-untyped-call]  # theirs
        request=None, public=True
    )
    return made


def bodies(document: dict[str, Any]) -> set[str]:
    """Names of the components that are a request's or a success's JSON body."""
    found = set()
    for methods in document["paths"].values():
        for operation in methods.values():
            answers = [r for status, r in operation["responses"].items() if status < "300"]
            for part in (operation.get("requestBody", {}), *answers):
                for media_type, content in part.get("content", {}).items():
                    if media_type == "application/json":
                        found.add(content["schema"]["$ref"].rpartition("/")[2])
    return found


def test_every_body_is_a_component_with_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    without = {name for name in bodies(document) if "examples" not in schemas[name]}
    assert without == set()


def test_every_example_is_as_its_schema_says(document: dict[str, Any]) -> None:
    wrong = {}
    for name, schema in document["components"]["schemas"].items():
        whole = {
            "$ref": f"#/components/schemas/{name}",
            "components": document["components"],
        }
        for example in schema.get("examples", ()):
            errors = Draft202012Validator(whole).iter_errors(example)
            wrong[name] = [error.message for error in errors]
            unknown = set(example) - set(schema.get("properties", example))
            wrong[name] += [f"no such property: {key}" for key in unknown]
    assert {name: errors for name, errors in wrong.items() if errors} == {}


def test_no_example_is_left_over(document: dict[str, Any]) -> None:
    assert set(EXAMPLES) - set(document["components"]["schemas"]) == set()
