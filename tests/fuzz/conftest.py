from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.cast import Cast
from tests.conftest import Api
from tests.fuzz.judge import Judge, make_judge


@pytest.fixture
def judge(
    cast: Cast, api: Api, set_limits: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> Judge:
    set_limits(user_requests_per_minute=10**9)
    # A line for each refused request would bury what a failure says.
    caplog.set_level(logging.CRITICAL, "django.request")
    client = api.nobody
    # Looking the token up, each time anew, would be a sixth of the whole time.
    token: Any = cast.mona.token  # the stubs know DRF's own tokens only
    client.force_authenticate(cast.mona.user, token)
    return make_judge(cast, client)
