from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import docker
import pytest

from crewship.engine import disk
from crewship.engine.base import EngineInfo
from crewship.engine.disk import DiskSpace, disk_space, engine_disk
from crewship.engine.docker import DockerEngine

HERE = EngineInfo("id", "1", "1.41", "linux/amd64", "overlay2", on_this_machine=True)


def test_a_data_root_on_this_machine_is_looked_at(tmp_path: Path) -> None:
    found = engine_disk(replace(HERE, data_root=str(tmp_path)))
    assert found is not None
    assert found.root == str(tmp_path)
    assert 0 < found.free_bytes < found.total_bytes


def test_a_folder_of_the_same_name_is_not_another_machines_disk(tmp_path: Path) -> None:
    info = replace(HERE, data_root=str(tmp_path), on_this_machine=False)
    assert engine_disk(info) is None


def test_a_data_root_that_is_not_there_is_not_seen() -> None:
    assert engine_disk(replace(HERE, data_root="/nowhere/at/all")) is None


def test_an_operator_may_say_where_it_is(tmp_path: Path) -> None:
    info = replace(HERE, data_root="/nowhere/at/all", on_this_machine=False)
    assert engine_disk(info, str(tmp_path)) == disk_space(tmp_path)


def test_of_two_disks_the_one_with_less_room_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = {"/var/lib/docker": 900, disk.CONTAINERD_ROOT: 30}
    monkeypatch.setattr(disk, "_look", lambda root: DiskSpace(str(root), 1000, rooms[str(root)]))
    info = replace(HERE, data_root="/var/lib/docker", storage_driver="overlayfs")
    found = engine_disk(info)
    assert found is not None
    assert found.root == disk.CONTAINERD_ROOT


@pytest.mark.parametrize(("total", "floor"), [(10_000_000_000, 500_000_000), (10**12, 2 * 10**9)])
def test_the_floor_is_5_percent_of_a_small_disk(total: int, floor: int) -> None:
    assert DiskSpace("/", total, 0).floor_bytes(2 * 10**9) == floor


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("unix:///var/run/docker.sock", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://docker.example:2375", False),
    ],
)
def test_only_a_socket_or_loopback_is_this_machine(url: str, local: bool) -> None:
    client = docker.APIClient(base_url=url, version="1.41")
    engine = DockerEngine()
    engine._clients[engine._quick_timeout_s] = client
    assert engine.is_local is local
    engine.close()


@pytest.mark.engine
def test_the_engine_of_this_machine_is_seen(docker_engine: DockerEngine) -> None:
    info = docker_engine.info()
    assert info.on_this_machine
    assert info.memory_bytes > 0
    found = engine_disk(info)
    assert found is not None
    assert found.root == info.data_root
