"""Operators add, change and hide catalog entries; fetched rows stay as they were fetched."""

from __future__ import annotations

from typing import Any

import pytest

from catalogs.models import CatalogEntry
from catalogs.selectors import feature_catalog, runtime_catalog
from catalogs.services import mark_changed
from tests.admin.pages import Pages, form_of, messages_of, text_of

REF = "ghcr.io/acme/features/tool:1"


@pytest.fixture
def fetched(db: None) -> CatalogEntry:
    mark_changed("feature")
    return CatalogEntry.objects.create(
        kind="feature", source="ghcr.io/acme/features", ref=REF, key=REF[:-2], name="Fetched"
    )


def names() -> dict[str, str]:
    return {entry.ref: entry.name for entry in feature_catalog().listed}


def add(admin: Pages, **values: Any) -> Any:
    blank = {"kind": "feature", "versions": "[]", "backends": "[]"}
    return admin.post(CatalogEntry, "add", **{**blank, **values})


def errors(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.context["adminform"].form.errors
    return found


def test_an_added_entry_is_listed(admin: Pages):
    assert add(admin, ref=REF, name="Acme's").status_code == 302
    assert names()[REF] == "Acme's"


def test_an_entry_goes_over_a_fetched_one(admin: Pages, fetched: CatalogEntry):
    add(admin, ref=REF.replace(":1", ":2"), name="Better")
    assert names()[REF.replace(":1", ":2")] == "Better"
    assert REF not in names()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"ref": "tool"}, "ref"),
        ({"ref": "./tool"}, "ref"),
        ({"kind": "runtime", "ref": "no tool"}, "ref"),
        ({"kind": "runtime", "ref": "node", "versions": '{"a": 1}'}, "versions"),
        ({"kind": "runtime", "ref": "node", "backends": "[1]"}, "backends"),
        ({"ref": REF, "category": "games"}, "category"),
    ],
)
def test_what_no_list_could_show_is_refused(admin: Pages, values: dict[str, str], field: str):
    assert list(errors(add(admin, **values))) == [field]
    assert not CatalogEntry.objects.exists()


def test_a_second_entry_for_one_thing_is_refused(admin: Pages):
    add(admin, ref=REF)
    assert "already" in str(errors(add(admin, ref=REF.replace(":1", ":2")))["ref"])


def test_an_entry_is_changed_and_deleted(admin: Pages):
    add(admin, kind="runtime", ref="zola", versions='["2", "1"]', default_version="2")
    entry = CatalogEntry.objects.get()
    values = {**form_of(admin.page(entry)), "name": "Zola!"}
    assert admin.post(entry, **values).status_code == 302
    (zola,) = (e for e in runtime_catalog().listed if e.key == "zola")
    assert (zola.name, zola.versions, zola.default_version) == ("Zola!", ("2", "1"), "2")
    admin.post(entry, "delete", post="yes")
    assert "zola" not in runtime_catalog().known


def test_entries_are_deleted_from_the_list(admin: Pages):
    add(admin, ref=REF)
    admin.act("delete_selected", CatalogEntry.objects.get(), post="yes")
    assert REF not in names()


def test_a_fetched_entry_is_hidden_and_shown_again(admin: Pages, fetched: CatalogEntry):
    assert messages_of(admin.act("hide_entries", fetched)) == [f"success: “{REF}”: hidden."]
    assert REF not in names()
    admin.act("show_entries", fetched)
    assert names()[REF] == "Fetched"


def test_a_fetched_entry_is_not_edited(admin: Pages, fetched: CatalogEntry):
    assert "Fetched" in text_of(admin.page(fetched))
    assert admin.post(fetched, ref=REF, name="Other").status_code == 403
    assert admin.post(fetched, "delete", post="yes").status_code == 403
    assert names()[REF] == "Fetched"


def test_the_list_says_where_entries_are_from(admin: Pages, fetched: CatalogEntry):
    add(admin, ref="ghcr.io/acme/features/other:1")
    page = text_of(admin.list(CatalogEntry))
    assert "an operator" in page
    assert "ghcr.io/acme/features" in page
