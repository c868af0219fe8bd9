"""Engine texts without the host's paths."""

from __future__ import annotations

import pytest

from provisioning.agents.engine_texts import without_host_paths

LAYER = "0f" * 32


@pytest.mark.parametrize(
    "path",
    [
        f"/var/lib/docker/overlay2/{LAYER}/merged",
        f"/mnt/data/engine/overlay2/{LAYER}/merged/workspace",
        f"/run/containerd/io.containerd.runtime.v2.task/moby/{LAYER}/log.json",
        "/var/lib/docker/volumes/crewship-x/_data",
    ],
)
def test_a_path_below_the_engines_root_is_left_out(path: str):
    said = f'error mounting "{path}" to rootfs at "/workspace": not a directory'
    shown = 'error mounting "\N{HORIZONTAL ELLIPSIS}" to rootfs at "/workspace": not a directory'
    assert without_host_paths(said) == shown


@pytest.mark.parametrize(
    "said",
    [
        'exec: "/usr/bin/tool": stat /usr/bin/tool: no such file or directory',
        "/home/agent/.local/share/containers is not writable",
    ],
)
def test_paths_in_the_container_stay(said: str):
    assert without_host_paths(said) == said
