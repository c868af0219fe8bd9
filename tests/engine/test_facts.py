"""Facts about the Docker engine that the design stands on (docs: layered snapshots).

Each is tried against the engine at hand with the bare SDK: when one falls, the design must be
looked at again. Seen first on engine 20.10.24 with SDK 7.2.0.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError
from docker.types import Mount as SdkMount

from crewship.domain.errors import TooManyLayers
from crewship.engine.base import ImageConfig
from crewship.engine.docker import DockerEngine
from tests.engine.bench import Bench, tar_of
from tests.engine.real import BASE_IMAGE

pytestmark = pytest.mark.engine

HOLD = ["/bin/sh", "-c", "sleep 600"]
ODD = 'it\'s "odd" $HOME `id` \\ \n second line 🚢'


@pytest.fixture
def api(docker_engine: DockerEngine) -> Iterator[docker.APIClient]:
    client = docker.APIClient(timeout=60)
    yield client
    client.close()


class Raw:
    """Containers and commits by the bare SDK, cleared by the bench."""

    def __init__(self, api: Any, bench: Bench) -> None:  # Any: the SDK's stubs refuse **options
        self.api = api
        self.bench = bench

    def container(self, image: str = BASE_IMAGE, **options: Any) -> str:
        name = self.bench.name(f"raw-{time.monotonic_ns()}")
        settings = {"command": HOLD, "use_config_proxy": False, "name": name}
        container: str = self.api.create_container(image, **(settings | options))["Id"]
        self.api.start(container)
        return container

    def commit(self, container: str, word: str, **options: Any) -> str:
        image: str = self.api.commit(container, self.bench.prefix, word, **options)["Id"]
        self.bench.adopt(image)
        return image

    def config(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.inspect_image(image)["Config"]
        return found

    def exec(self, container: str, *argv: str) -> tuple[int, str]:
        """By our engine: the SDK's reader loses output that comes quickly."""
        result, output = self.bench.run(container, argv)
        return result.exit_code, output


@pytest.fixture
def raw(api: docker.APIClient, docker_bench: Bench) -> Raw:
    return Raw(api, docker_bench)


# -- commit
def test_commit_by_conf_keeps_values_literally(raw: Raw) -> None:
    conf = {"Env": [f"ODD={ODD}"], "Labels": {"odd": ODD}, "Cmd": [ODD]}
    config = raw.config(raw.commit(raw.container(), "x", conf=conf))
    assert (config["Env"], config["Labels"], config["Cmd"]) == (
        [f"ODD={ODD}"],
        {"odd": ODD},
        [ODD],
    )


def test_commit_by_conf_takes_a_label_of_5_mb(raw: Raw) -> None:
    image = raw.commit(raw.container(), "x", conf={"Labels": {"big": "x" * 5_000_000}})
    assert len(raw.config(image)["Labels"]["big"]) == 5_000_000


def test_commit_by_changes_refuses_a_newline(raw: Raw) -> None:
    with pytest.raises(APIError):
        raw.commit(raw.container(), "x", changes=['LABEL odd="one\ntwo"'])


def test_commit_by_changes_refuses_more_than_64_kb(raw: Raw) -> None:
    with pytest.raises(APIError):
        raw.commit(raw.container(), "x", changes=[f'LABEL big="{"x" * 70_000}"'])


def test_an_empty_cmd_falls_back_to_the_containers_command(raw: Raw) -> None:
    config = raw.config(raw.commit(raw.container(), "x", conf={"Cmd": []}))
    assert config["Cmd"] == HOLD


def test_an_empty_cmd_stays_empty_when_an_entrypoint_held_the_container(raw: Raw) -> None:
    container = raw.container(command=[], entrypoint=HOLD)
    config = raw.config(raw.commit(container, "x", conf={"Cmd": [], "Entrypoint": []}))
    assert not config["Cmd"]
    assert not config["Entrypoint"]


def test_env_and_labels_of_the_container_end_in_the_image(raw: Raw) -> None:
    container = raw.container(environment={"BUILD": "secret"}, labels={"build": "x"})
    config = raw.config(raw.commit(container, "x", conf={"Env": ["A=1"], "Labels": {"a": "1"}}))
    assert config["Env"] == ["A=1", "BUILD=secret"]
    assert config["Labels"] == {"a": "1", "build": "x"}


def test_env_and_labels_of_the_parent_are_merged_in_by_key(raw: Raw) -> None:
    parent = raw.commit(
        raw.container(), "p", conf={"Env": ["OLD=1", "BOTH=1"], "Labels": {"old": "1"}}
    )
    conf = {"Env": ["BOTH=2"], "Labels": {"new": "1"}}
    config = raw.config(raw.commit(raw.container(parent), "c", conf=conf))
    assert config["Env"] == ["BOTH=2", "OLD=1"]
    assert config["Labels"] == {"new": "1", "old": "1"}


def test_a_bare_name_in_env_unsets_the_parents_variable(raw: Raw) -> None:
    parent = raw.commit(raw.container(), "p", conf={"Env": ["OLD=1"]})
    child = raw.commit(raw.container(parent), "c", conf={"Env": ["NEW=1", "OLD"]})
    assert raw.exec(raw.container(child), "sh", "-c", "echo ${OLD-unset}") == (0, "unset\n")


def test_containers_carry_the_labels_of_their_image(raw: Raw) -> None:
    image = raw.commit(raw.container(), "x", conf={"Labels": {"crewship.note": "1"}})
    container = raw.container(image)
    assert raw.api.inspect_container(container)["Config"]["Labels"] == {"crewship.note": "1"}


def test_an_env_of_200_kb_commits_and_then_no_process_starts(raw: Raw) -> None:
    image = raw.commit(raw.container(), "x", conf={"Env": [f"BIG={'x' * 200_000}"]})
    container = raw.container(image)
    raw.api.wait(container)
    assert raw.api.inspect_container(container)["State"]["ExitCode"] != 0


@pytest.mark.long
def test_too_many_layers_end_in_a_typed_error(docker_bench: Bench) -> None:
    bench = docker_bench

    def stack_layers(top: str) -> None:
        for number in range(1, 140):
            container = bench.container(top, start=False)
            bench.engine.put_archive(container, "/", tar_of({"file": b"%d" % number}))
            top = bench.commit(container, "layer")
            bench.engine.remove_container(container)

    with pytest.raises(TooManyLayers):
        stack_layers(bench.import_files("layer", {"file": b"0"}))


# -- what a container leaves behind
def test_proxies_of_dockers_config_enter_by_the_sdks_default(
    raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_proxies(tmp_path, monkeypatch)
    client = docker.APIClient()
    name = raw.bench.name("proxied")
    client.create_container(BASE_IMAGE, HOLD, name=name)
    env = client.inspect_container(name)["Config"]["Env"]
    client.close()
    assert "HTTP_PROXY=http://user:password@proxy.invalid:1" in env


def test_proxies_of_dockers_config_stay_out_of_our_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker_bench: Bench
) -> None:
    _write_proxies(tmp_path, monkeypatch)
    engine = DockerEngine.from_environment()
    bench = Bench(engine)
    try:
        container = bench.container()
        _, output = bench.run(container, ("env",))
        found = engine.image(bench.commit(container, "x"))
    finally:
        bench.clear()
        engine.close()
    assert found is not None
    assert found.config.env == ()
    assert "proxy" not in output.lower()


def _write_proxies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = "http://user:password@proxy.invalid:1"
    config = {"proxies": {"default": {"httpProxy": proxy}}}
    (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))


def test_volumes_given_at_create_become_volumes_of_the_image(raw: Raw) -> None:
    image = raw.commit(raw.container(volumes=["/data"]), "x")
    assert raw.config(image)["Volumes"] == {"/data": {}}


def test_mounts_do_not_but_leave_an_empty_directory(raw: Raw) -> None:
    name = raw.bench.name("volume")
    mount = SdkMount("/made/deep", name, type="volume")
    container = raw.container(host_config=raw.api.create_host_config(mounts=[mount]))
    raw.exec(container, "sh", "-c", "echo x > /made/deep/file")
    image = raw.commit(container, "x")
    raw.api.remove_container(container, force=True)
    raw.api.remove_volume(name)
    assert not raw.config(image).get("Volumes")
    assert raw.exec(raw.container(image), "find", "/made", "-mindepth", "1") == (0, "/made/deep\n")


def test_an_init_leaves_a_file(raw: Raw) -> None:
    container = raw.container(host_config=raw.api.create_host_config(init=True))
    image = raw.commit(container, "x")
    code, _ = raw.exec(raw.container(image), "test", "-e", "/sbin/docker-init")
    assert code == 0


def test_data_under_a_volume_of_the_base_image_is_lost(raw: Raw) -> None:
    base = raw.commit(raw.container(), "base", conf={"Volumes": {"/data": {}}})
    container = raw.container(base)
    raw.exec(container, "sh", "-c", "mkdir -p /data; echo x > /data/file")
    image = raw.commit(container, "child")
    assert raw.exec(raw.container(image), "ls", "/data") == (0, "")


# -- removal
def test_removing_a_tagged_image_removes_its_untagged_parents(raw: Raw) -> None:
    parent = raw.commit(raw.container(), "parent")
    _child_of(raw, parent)
    raw.api.remove_image(f"{raw.bench.prefix}:parent", force=True, noprune=True)
    raw.api.remove_image(f"{raw.bench.prefix}:child", force=True)
    assert raw.bench.engine.image(parent) is None


def test_a_tagged_parent_stays(raw: Raw) -> None:
    parent = raw.commit(raw.container(), "parent")
    _child_of(raw, parent)
    raw.api.remove_image(f"{raw.bench.prefix}:child", force=True)
    assert raw.bench.engine.image(parent) is not None


def test_noprune_keeps_an_untagged_parent(raw: Raw) -> None:
    parent = raw.commit(raw.container(), "parent")
    _child_of(raw, parent)
    raw.api.remove_image(f"{raw.bench.prefix}:parent", force=True, noprune=True)
    raw.api.remove_image(f"{raw.bench.prefix}:child", force=True, noprune=True)
    kept = raw.bench.engine.image(parent)
    raw.bench.engine.remove_image(parent)
    assert kept is not None


def _child_of(raw: Raw, parent: str) -> None:
    container = raw.container(parent)
    raw.commit(container, "child")
    raw.api.remove_container(container, force=True)


# -- exec
def test_a_kill_ends_a_silent_exec_in_less_than_a_second(raw: Raw) -> None:
    container = raw.container()
    killed_at: list[float] = []

    def kill(_: str) -> None:
        killed_at.append(time.monotonic())
        raw.api.kill(container)

    result, _ = raw.bench.run(container, ["sh", "-c", "echo on; sleep 60"], on_output=kill)
    assert time.monotonic() - killed_at[0] < 1
    assert result.exit_code == 137


def test_closing_the_stream_leaves_the_process_running(raw: Raw) -> None:
    container = raw.container()
    exec_id = raw.api.exec_create(container, ["sleep", "60"])["Id"]
    stream = raw.api.exec_start(exec_id, stream=True)
    deadline = time.monotonic() + 10
    while not raw.api.exec_inspect(exec_id)["Pid"] and time.monotonic() < deadline:
        pass
    stream.close()
    stream._response.close()  # close() alone keeps the descriptor
    raw.exec(container, "true")
    assert raw.api.exec_inspect(exec_id)["Running"]


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (["true"], {"user": "nobody-here"}),
        (["/no/such/command"], {}),
        (["true"], {"workdir": "/no/such/directory"}),
    ],
    ids=["user", "command", "directory"],
)
def test_a_missing_thing_is_exit_code_126_or_127(
    docker_bench: Bench, argv: list[str], options: dict[str, str]
) -> None:
    result, _ = docker_bench.run(docker_bench.container(), argv, **options)  # type: ignore[arg-type]
    assert result.exit_code in (126, 127)


def test_our_commit_takes_a_label_of_5_mb(docker_bench: Bench) -> None:
    config = ImageConfig(labels={"big": "x" * 5_000_000})
    found = docker_bench.engine.image(docker_bench.commit(docker_bench.container(), "x", config))
    assert found is not None
    assert len(found.config.labels["big"]) == 5_000_000
