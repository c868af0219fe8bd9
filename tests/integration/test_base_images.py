"""Base images of every kind: each works, or ends with its own code before anything is built."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from catalogs.pack import pack_features, push_layout
from tests.integration.images import PASSWD, Images, layer, programs
from tests.stack.features import ref
from tests.stack.images import run_in
from tests.stack.server import Api, Stack

pytestmark = [pytest.mark.engine, pytest.mark.registry]
Config = Callable[..., dict[str, Any]]

SCRIPTS = {
    "bash": "#!/usr/bin/env bash\necho never\n",
    "bringer": "#!/bin/sh\nmkdir -p /usr/bin; ln -s /bin/busybox /usr/bin/bash\n",
    "mover": "#!/bin/sh\nset -e\nmkdir /moved; chown agent /moved\n"
    "sed -i 's|:/home/agent:|:/moved:|' /etc/passwd\n",
    "teller": '#!/bin/sh\necho "the home is $_REMOTE_USER_HOME, $_CONTAINER_USER_HOME"\n',
}


@pytest.fixture(scope="module")
def images(docker_client: docker.DockerClient, image_registry: str) -> Iterator[Images]:
    made = Images(docker_client, image_registry, programs())
    yield made
    made.remove()


@pytest.fixture(scope="module")
def feature(image_registry: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The reference of one of SCRIPTS, published in the local registry."""
    folder = tmp_path_factory.mktemp("scripts")
    for name, script in SCRIPTS.items():
        place = folder / "source" / name
        place.mkdir(parents=True)
        metadata = {"id": name, "version": "1.0.0", "name": name}
        (place / "devcontainer-feature.json").write_text(json.dumps(metadata))
        (place / "install.sh").write_text(script)
    namespace = f"{image_registry}/crew"
    pack_features(folder / "source", folder / "layout", namespace)
    push_layout(folder / "layout", f"http://{namespace}")
    return lambda name: f"{namespace}/{name}:1"


@pytest.fixture
def refused(api: Api, stack: Stack, slug: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The error of a config that ends in pull-base, without a layer made for it."""

    def provision(config: dict[str, Any]) -> dict[str, Any]:
        layers = stack.rows("SELECT count(*) FROM cache_layer")
        crew = api.crew(slug, config)
        api.provision(crew)
        status = api.wait(crew)
        assert (status["status"], status["step"]) == ("failed", 2), api.log(crew)
        assert stack.rows("SELECT count(*) FROM cache_layer") == layers
        assert stack.rows("SELECT name FROM provisioning_scratchcontainer") == []
        return dict(api.jobs(crew)[0]["error"])

    return provision


Refused = Callable[[dict[str, Any]], dict[str, Any]]


def test_musl_with_busybox_works(api: Api, images: Images, slug: str) -> None:
    base = images.load("musl", [images.busybox(), images.musl()])
    config = {
        "image": base,
        "features": {ref("tool"): {"word": "from-musl"}},
        "onCreateCommand": "echo $(id -un) > /home/agent/made",
        "containerEnv": {"NONCE": uuid.uuid4().hex},
    }
    tag = api.build(api.crew(slug, config))
    assert run_in(tag, "crew-tool") == "from-musl\n"
    assert run_in(tag, "/bin/sh", "-c", "cat ~/made; id -u") == "agent\n1001\n"


def test_mise_tools_on_musl_are_libc_unsupported(
    refused: Refused, images: Images, config: Config
) -> None:
    base = images.load("musl", [images.busybox(), images.musl()])
    error = refused(config(image=base, mise={"tools": {"node": "22"}}))
    assert error["code"] == "libc_unsupported"
    assert "glibc" in error["hint"]


def test_one_static_binary_is_shell_missing(
    refused: Refused, images: Images, config: Config
) -> None:
    base = images.load("static", [layer({"tool": images.programs["amd64/bin/busybox"]})])
    error = refused(config(image=base))
    assert error["code"] == "shell_missing"
    assert base in error["message"]


@pytest.mark.parametrize("said", ["arm64", "amd64"])
def test_a_root_for_another_processor_is_arch_mismatch(
    refused: Refused, images: Images, config: Config, said: str
) -> None:
    root = images.busybox(architecture="arm64")
    base = images.load(f"arm64-as-{said}", [root], architecture=said)
    error = refused(config(image=base))
    assert error["code"] == "arch_mismatch"
    assert base in error["message"]


@pytest.mark.parametrize(
    ("passwd", "named"),
    [
        (f"{PASSWD}node:x:1001:1001::/home/node:/bin/sh\n", "node"),
        (f"{PASSWD}node:x:1001:1001::/home/node:/bin/sh", "node"),  # without the last newline
        (f"{PASSWD}agent:x:1000:1000::/home/agent:/bin/sh\n", "1000"),
    ],
)
def test_a_taken_uid_or_name_is_user_conflict(
    refused: Refused, images: Images, config: Config, passwd: str, named: str
) -> None:
    base = images.load("taken", [images.busybox(passwd=passwd)])
    error = refused(config(image=base))
    assert error["code"] == "user_conflict"
    assert named in error["message"]


def test_a_users_file_without_its_last_newline_is_mended(
    api: Api, images: Images, config: Config, slug: str
) -> None:
    base = images.load("unclosed", [images.busybox(passwd=PASSWD.rstrip(), group="root:x:0:")])
    tag = api.build(api.crew(slug, config(image=base)))
    users = run_in(tag, "/bin/sh", "-c", "cat /etc/passwd /etc/group").splitlines()
    assert users == [
        PASSWD.rstrip(),
        "agent:x:1001:1001::/home/agent:/bin/sh",
        "root:x:0:",
        "agent:x:1001:",
    ]


def test_a_volume_on_the_home_is_base_volume(
    refused: Refused, images: Images, config: Config
) -> None:
    base = images.load("volume", [images.busybox()], Volumes={"/home/agent": {}})
    error = refused(config(image=base))
    assert error["code"] == "base_volume"
    assert "/home/agent" in error["message"]


def _many(images: Images, count: int) -> str:
    small = [layer({f"layers/{number}": str(number)}) for number in range(count - 1)]
    return images.load(f"layers-{count}", [images.busybox(), *small])


def test_119_layers_are_too_many(refused: Refused, images: Images, config: Config) -> None:
    assert refused(config(image=_many(images, 119)))["code"] == "too_many_layers"


def test_118_layers_are_not(api: Api, images: Images, config: Config, slug: str) -> None:
    tag = api.build(api.crew(slug, config(image=_many(images, 118))))
    assert len(images.client.images.get(tag).attrs["RootFS"]["Layers"]) <= 120


def test_a_feature_for_bash_is_refused_on_a_base_without(
    refused: Refused, images: Images, config: Config, feature: Callable[[str], str]
) -> None:
    base = images.load("plain", [images.busybox()])
    error = refused(config(image=base, features={feature("bash"): {}}))
    assert error["code"] == "shell_missing"
    assert feature("bash") in error["message"]


def test_a_feature_for_bash_after_others_is_not_started(
    api: Api, images: Images, config: Config, slug: str, feature: Callable[[str], str]
) -> None:
    base = images.load("plain", [images.busybox()])
    made = config(image=base, features={feature("teller"): {}, feature("bash"): {}})
    order = [feature(name).removesuffix(":1") for name in ("teller", "bash")]
    crew = api.crew(slug, {**made, "overrideFeatureInstallOrder": order})
    api.provision(crew)
    assert api.wait(crew)["status"] == "failed"
    error = api.jobs(crew)[0]["error"]
    assert error["code"] == "shell_missing"
    assert feature("bash") in error["message"]
    assert "| never" not in api.log(crew)


def test_a_feature_that_calls_apt_get_where_there_is_none_is_told(
    api: Api, images: Images, config: Config, slug: str
) -> None:
    base = images.load("plain", [images.busybox()])
    crew = api.crew(slug, config(image=base, postCreateCommand="apt-get update"))
    api.provision(crew)
    api.wait(crew)
    error = api.jobs(crew)[0]["error"]
    assert error["code"] == "pkg_manager_missing"
    assert "package manager" in error["hint"]


def test_the_home_is_told_anew_before_each_feature(
    api: Api, config: Config, slug: str, feature: Callable[[str], str]
) -> None:
    made = config(features={feature("mover"): {}, feature("teller"): {}})
    order = [feature(name).removesuffix(":1") for name in ("mover", "teller")]
    crew = api.crew(slug, {**made, "overrideFeatureInstallOrder": order})
    tag = api.build(crew)
    assert "the home is /moved, /moved" in api.log(crew)
    assert run_in(tag, "sh", "-c", "echo ~") == "/moved\n"


def test_the_bases_label_is_honoured_and_ours_is_written(
    api: Api, stack: Stack, images: Images, config: Config, slug: str
) -> None:
    label: list[dict[str, Any]] = [
        {"id": "made", "postCreateCommand": "echo from the base >> /home/agent/order"},
        {"remoteUser": "vscode", "containerEnv": {"OF_BASE": "1"}, "init": True, "mounts": 5},
    ]
    base = images.load(
        "labelled", [images.busybox()], Labels={"devcontainer.metadata": json.dumps(label)}
    )
    hook = "echo from the config >> /home/agent/order"
    crew = api.crew(slug, config(image=base, features={ref("note"): {}}, postCreateCommand=hook))
    tag = api.build(crew)
    assert run_in(tag, "/bin/sh", "-c", "cat ~/order; echo $OF_BASE").splitlines() == [
        "from the base",
        "from the config",
        "1",
    ]
    log = api.log(crew)
    assert "vscode is ignored" in log
    assert "devcontainer.metadata[1].mounts: ignored" in log
    written = json.loads(images.client.images.get(tag).labels["devcontainer.metadata"])
    assert written[0] == label[0]
    assert written[1] == {k: v for k, v in label[1].items() if k != "mounts"}
    assert written[2]["id"] == ref("note")
    assert written[3]["postCreateCommand"] == hook
    [(requirements,)] = stack.rows("SELECT requirements FROM cache_cachedimage WHERE tag = ?", tag)
    assert json.loads(requirements)["init"] is True
