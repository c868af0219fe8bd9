from __future__ import annotations

import warnings

import pytest
from django.core.cache.backends.base import memcache_key_warnings

from crewship.web.cache_keys import LONGEST, bounded_key

ODD = ["x" * 1_000, "x" * 60_000, "a b", "a\nb", "\x7f", "ü", "x" * LONGEST]


def test_a_plain_key_stays_as_it_is():
    assert bounded_key("throttle_user_7", "crewship", 1) == "crewship:1:throttle_user_7"


@pytest.mark.parametrize("key", ODD)
def test_django_has_no_reason_to_warn_of_a_key(key):
    made = bounded_key(key, "crewship", 1)
    assert len(made) <= LONGEST
    assert list(memcache_key_warnings(made)) == []


def test_two_long_keys_are_two():
    assert bounded_key("x" * 999 + "a", "c", 1) != bounded_key("x" * 999 + "b", "c", 1)


def test_versions_and_prefixes_of_a_long_key_are_apart():
    key = "x" * 999
    assert len({bounded_key(key, p, v) for p in ("a", "b") for v in (1, 2)}) == 4


@pytest.mark.django_db
def test_a_request_with_a_long_header_makes_no_warning(api):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        api.nobody.get("/me", headers={"X-Forwarded-For": "9" * 60_000})
    assert [str(warning.message) for warning in found if "key" in str(warning.message)] == []
