from __future__ import annotations

import pytest

from crewship.domain.ids import IdPrefix, is_well_formed, new_id


@pytest.mark.parametrize("prefix", list(IdPrefix))
def test_a_new_id_is_well_formed_and_its_own(prefix: IdPrefix) -> None:
    first, second = new_id(prefix), new_id(prefix)
    assert first != second
    assert is_well_formed(first, prefix)
    assert not any(is_well_formed(first, other) for other in IdPrefix if other != prefix)


def test_ids_sort_by_time_of_making() -> None:
    made = [new_id(IdPrefix.JOB) for _ in range(1000)]
    assert made == sorted(made)


@pytest.mark.parametrize("body", ["a", "A_b-9", "z" * 64])
def test_the_body_has_1_to_64_of_its_characters(body: str) -> None:
    assert is_well_formed(f"crw_{body}", IdPrefix.CREW)


@pytest.mark.parametrize(
    "text", ["", "crw", "crw_", "crw_" + "a" * 65, "crw_a b", "crw_a\n", "crw_ä", "crw-a", "Crw_a"]
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_well_formed(text, IdPrefix.CREW)
