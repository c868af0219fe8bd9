"""Published features with their real install.sh, from copies that a tester put into a folder.

``CREWSHIP_TEST_FEATURES=DIR make test-published``: DIR has a folder a feature, as ``src`` of
https://github.com/devcontainers/features has. Their code is not part of this project.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogs.pack import pack_features
from tests.stack.images import run_in
from tests.stack.server import Stack, running_stack

pytestmark = pytest.mark.published
NAMESPACE = "ghcr.io/devcontainers/features"


@pytest.fixture(scope="module")
def published_stack(
    tmp_path_factory: pytest.TempPathFactory, docker_client: object
) -> Iterator[Stack]:
    folder = os.environ.get("CREWSHIP_TEST_FEATURES")
    if not folder:
        pytest.fail("set CREWSHIP_TEST_FEATURES to a folder of published features", pytrace=False)
    layout = tmp_path_factory.mktemp("published") / "layout"
    pack_features(Path(folder), layout, NAMESPACE)
    settings = {"CREWSHIP_FEATURE_LAYOUTS": f"{NAMESPACE}={layout}"}
    with running_stack(tmp_path_factory.mktemp("stack"), settings, workers=1) as running:
        yield running


def test_common_utils_sshd_and_git_are_installed(published_stack: Stack) -> None:
    api = published_stack.bootstrap()
    features = {
        f"{NAMESPACE}/sshd:1": {},
        f"{NAMESPACE}/git:1": {"version": "os-provided"},
        f"{NAMESPACE}/common-utils:2": {
            "username": "agent",
            "userUid": "1001",
            "userGid": "1001",
            "upgradePackages": False,
            "installOhMyZsh": False,  # clones from github.com
        },
    }
    crew = api.crew("published", {"image": "debian:bookworm-slim", "features": features})
    tag = api.build(crew, within_s=600)
    print(api.log(crew)[-2000:])
    assert run_in(tag, "sh", "-c", "id -un; id -u; git --version; which sshd zsh sudo").split()[
        :2
    ] == [
        "agent",
        "1001",
    ]
    order = [f["ref"].rpartition("/")[2] for f in api.jobs(crew)[0]["resolved_features"]]
    assert order[0] == "common-utils:2"
