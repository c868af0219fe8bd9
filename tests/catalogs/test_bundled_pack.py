from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from catalogs.pack import pack_features
from crewship.devcontainer.types import FeatureRef
from crewship.domain.errors import ConfigError
from crewship.registry.blobs import BlobStore
from crewship.registry.client import OciClient
from crewship.registry.features import FeatureFetcher
from crewship.registry.options import RegistryOptions

NAMESPACE = "ghcr.io/crewship-ai/features"
BUNDLED = Path(__file__).parents[2] / "catalogs" / "bundled" / "features"
NAMES = sorted(path.name for path in BUNDLED.iterdir())


def index(layout: Path) -> bytes:
    return (layout / "index.json").read_bytes()


def test_the_same_folders_give_the_same_bytes(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(BUNDLED, copy)
    for path in copy.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (0, 0))
    pack_features(BUNDLED, tmp_path / "one", NAMESPACE)
    pack_features(copy, tmp_path / "two", NAMESPACE)
    assert index(tmp_path / "one") == index(tmp_path / "two")


def test_packing_again_over_a_layout_changes_nothing(tmp_path: Path) -> None:
    pack_features(BUNDLED, tmp_path, NAMESPACE)
    before = index(tmp_path)
    pack_features(BUNDLED, tmp_path, NAMESPACE)
    assert index(tmp_path) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_feature_resolves_from_the_layout(tmp_path: Path, name: str) -> None:
    pack_features(BUNDLED, tmp_path / "layout", NAMESPACE)
    client = OciClient(RegistryOptions(layouts={NAMESPACE: tmp_path / "layout"}))
    fetcher = FeatureFetcher(client, BlobStore(tmp_path / "blobs"))
    resolved = fetcher.resolve(FeatureRef("ghcr.io", f"crewship-ai/features/{name}", "1"))
    assert resolved.metadata.id == name
    assert resolved == fetcher.installable(resolved)


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_feature_describes_itself_and_every_option(name: str) -> None:
    metadata = json.loads((BUNDLED / name / "devcontainer-feature.json").read_text())
    assert metadata["version"] == "1.0.0"
    assert metadata["name"]
    assert metadata["description"]
    options = metadata["options"].values()
    assert all({"type", "default", "description"} <= option.keys() for option in options)


@pytest.mark.parametrize("name", NAMES)
def test_an_install_script_is_posix_shell(name: str) -> None:
    script = BUNDLED / name / "install.sh"
    assert script.read_text().startswith("#!/bin/sh\n")
    assert subprocess.run(["/bin/sh", "-n", str(script)], check=False).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_image_without_apt_is_told_so(name: str, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "tr").symlink_to(shutil.which("tr") or "/usr/bin/tr")
    done = subprocess.run(
        ["/bin/sh", str(BUNDLED / name / "install.sh")],
        env={"PATH": str(tools)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == b"This feature needs a Debian or Ubuntu image.\n"


BROKEN = {
    "no version": '{"id": "x"}',
    "version of two parts": '{"id": "x", "version": "1.0"}',
    "another id": '{"id": "y", "version": "1.0.0"}',
    "no object": "[]",
    "no json": "{",
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_folder_that_is_no_feature_is_refused_by_name(tmp_path: Path, case: str) -> None:
    folder = tmp_path / "source" / "x"
    folder.mkdir(parents=True)
    (folder / "install.sh").write_text("")
    (folder / "devcontainer-feature.json").write_text(BROKEN[case])
    with pytest.raises(ConfigError, match=r"^x needs"):
        pack_features(tmp_path / "source", tmp_path / "out", NAMESPACE)


def test_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(BUNDLED / "node", source / "node")
    (source / "node" / "link").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="node/link"):
        pack_features(source, tmp_path / "out", NAMESPACE)


def test_an_empty_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        pack_features(tmp_path, tmp_path / "out", NAMESPACE)
