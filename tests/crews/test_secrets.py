"""Secret values at rest: what opens them and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewship.crews.models import Agent
from crewship.crews.secrets import SecretsUnreadable, seal, unseal

VALUES = {"TOKEN": "tr0ub4dor", "EMPTY": "", "ODD": "é \n $(id) 🚢"}


def agent(sealed: str, pk: str = "agt_one") -> Agent:
    return Agent(pk=pk, name="one", sealed_env=sealed)


@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=["Cs"]))))
def test_what_was_sealed_opens(values: dict[str, str]):
    assert unseal(agent(seal("agt_one", values))) == values


def test_no_secret_is_no_text():
    assert seal("agt_one", {}) == ""
    assert unseal(agent("")) == {}


def test_neither_name_nor_value_can_be_read():
    sealed = seal("agt_one", VALUES)
    assert "TOKEN" not in sealed
    assert "tr0ub4dor" not in sealed


def test_a_text_copied_to_another_agent_does_not_open():
    with pytest.raises(SecretsUnreadable):
        unseal(agent(seal("agt_one", VALUES), pk="agt_two"))


def test_a_changed_text_does_not_open():
    sealed = seal("agt_one", VALUES)
    with pytest.raises(SecretsUnreadable):
        unseal(agent(sealed[:-6] + "AAAAA="))


def test_a_former_key_still_opens(settings: Any):
    sealed = seal("agt_one", VALUES)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another" + "y" * 50
    assert unseal(agent(sealed)) == VALUES


def test_a_lost_key_is_told_without_quoting_anything(settings: Any):
    sealed = seal("agt_one", VALUES)
    settings.SECRET_KEY = "another" + "y" * 50
    with pytest.raises(SecretsUnreadable, match="agent one can't be opened") as caught:
        unseal(agent(sealed))
    assert "CREWSHIP_SECRET_KEY_FALLBACKS" in caught.value.error_hint
    assert sealed not in str(caught.value)


def test_the_same_values_are_sealed_differently_each_time():
    assert seal("agt_one", VALUES) != seal("agt_one", VALUES)
