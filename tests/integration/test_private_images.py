"""Base images of a registry that wants a login: docker's own config.json has it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.engine.real import BASE_IMAGE
from tests.registry.server import running_registry
from tests.stack.server import Api, Stack, running_stack

pytestmark = [pytest.mark.engine, pytest.mark.registry]
Config = Callable[..., dict[str, Any]]

USER, PASSWORD = "joe", "secret"
HTPASSWD = "joe:$2b$05$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na\n"


@pytest.fixture(scope="module")
def private_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("private-registry")
    (folder / "htpasswd").write_text(HTPASSWD)
    with running_registry(folder, folder / "htpasswd") as address:
        yield address


@pytest.fixture(scope="module")
def private_stack(
    tmp_path_factory: pytest.TempPathFactory,
    stack_settings: dict[str, str],
    private_registry: str,
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("private-stack")
    settings = {
        **stack_settings,
        "CREWSHIP_IMAGE_REGISTRIES": f"+{private_registry}",
        "DOCKER_CONFIG": str(folder.with_name("docker-config")),
    }
    with running_stack(folder, settings, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def private_api(private_stack: Stack) -> Api:
    return private_stack.bootstrap()


@pytest.fixture
def login(private_stack: Stack, private_registry: str) -> Iterator[Callable[[str], None]]:
    """``login(password)`` is docker login on the provisioning host."""
    place = Path(private_stack.environment["DOCKER_CONFIG"])
    place.mkdir(exist_ok=True)

    def write(password: str) -> None:
        auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
        config = {"auths": {private_registry: {"auth": auth}}}
        (place / "config.json").write_text(json.dumps(config))

    yield write
    (place / "config.json").unlink(missing_ok=True)


@pytest.fixture
def private_image(private_registry: str, docker_client: docker.DockerClient) -> Iterator[str]:
    """In the registry, and not on the host."""
    name = f"{private_registry}/base/private"
    docker_client.images.get(BASE_IMAGE).tag(name, "1")
    login = {"username": USER, "password": PASSWORD}
    pushed = docker_client.images.push(name, "1", auth_config=login)
    assert "error" not in pushed
    docker_client.images.remove(f"{name}:1")
    yield f"{name}:1"
    if docker_client.images.list(f"{name}:1"):
        docker_client.images.remove(f"{name}:1")


def _failed(api: Api, slug: str, config: dict[str, Any]) -> dict[str, Any]:
    crew = api.crew(slug, config)
    api.provision(crew)
    assert api.wait(crew)["status"] == "failed"
    return dict(api.jobs(crew)[0]["error"])


def test_with_a_login_a_private_base_is_pulled(
    private_api: Api, config: Config, slug: str, private_image: str, login: Callable[[str], None]
) -> None:
    login(PASSWORD)
    crew = private_api.crew(slug, config(image=private_image))
    private_api.build(crew)
    assert f"Base image {private_image} pulled" in private_api.log(crew)
    assert PASSWORD not in private_api.log(crew)


def test_without_a_login_it_is_registry_auth(
    private_api: Api, config: Config, slug: str, private_image: str
) -> None:
    error = _failed(private_api, slug, config(image=private_image))
    assert error["code"] == "registry_auth"
    assert private_image in error["message"]
    assert "docker login" in error["hint"]


def test_with_a_wrong_login_it_is_registry_auth(
    private_api: Api, config: Config, slug: str, private_image: str, login: Callable[[str], None]
) -> None:
    login("wrong-password")
    error = _failed(private_api, slug, config(image=private_image))
    assert error["code"] == "registry_auth"
    assert "wrong-password" not in json.dumps(error)
