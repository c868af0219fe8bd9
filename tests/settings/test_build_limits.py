"""What an operator may say about builds' containers, and what they get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crewship.domain.errors import SettingsError
from crewship.settings.options import Options, read_options
from provisioning.toolbox import build_options

SetLimits = Callable[..., Options]


def test_nothing_said_is_the_usual(tmp_path: Path) -> None:
    limits = read_options(tmp_path).limits
    assert (limits.build_memory_mb, limits.build_cpus, limits.build_pids) == (None, 0, 4096)
    assert (limits.max_layer_bytes, limits.disk_floor_mb) == (20_000_000_000, 2000)


def test_what_was_said_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWSHIP_BUILD_MEMORY_MB", "512")
    monkeypatch.setenv("CREWSHIP_BUILD_CPUS", "1.5")
    monkeypatch.setenv("CREWSHIP_BUILD_PIDS", "64")
    monkeypatch.setenv("CREWSHIP_MAX_LAYER_BYTES", "7")
    monkeypatch.setenv("CREWSHIP_DISK_FLOOR_MB", "9")
    limits = read_options(tmp_path).limits
    assert (limits.build_memory_mb, limits.build_cpus, limits.build_pids) == (512, 1.5, 64)
    assert (limits.max_layer_bytes, limits.disk_floor_mb) == (7, 9)


@pytest.mark.parametrize("name", ["CREWSHIP_BUILD_MEMORY_MB", "CREWSHIP_BUILD_PIDS"])
def test_a_limit_below_which_nothing_runs_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "5")
    with pytest.raises(SettingsError, match=name):
        read_options(tmp_path)


@pytest.mark.parametrize("name", ["CREWSHIP_BUILD_MEMORY_MB", "CREWSHIP_BUILD_PIDS"])
def test_0_is_no_limit(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    limits = read_options(tmp_path).limits
    assert 0 in (limits.build_memory_mb, limits.build_pids)


@pytest.mark.django_db
def test_limits_reach_the_build(set_limits: SetLimits) -> None:
    options = build_options(
        set_limits(build_memory_mb=512, build_cpus=1.5, build_pids=0, disk_floor_mb=3)
    )
    assert (options.memory_bytes, options.nano_cpus) == (512 << 20, 1_500_000_000)
    assert options.pids_limit is None
    assert options.disk_floor_bytes == 3_000_000


@pytest.mark.django_db
def test_no_limit_of_memory_is_not_the_usual_one(set_limits: SetLimits) -> None:
    assert build_options(set_limits(build_memory_mb=0)).memory_bytes == 0
    assert build_options(set_limits(build_memory_mb=None)).memory_bytes is None
