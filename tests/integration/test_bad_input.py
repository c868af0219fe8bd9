"""What cannot be built ends as failed (or 400 at save), says why, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import docker
import httpx
import pytest

from tests.stack.features import ref
from tests.stack.server import Api, Stack, wait_until

pytestmark = [pytest.mark.engine, pytest.mark.registry]
Config = Callable[..., dict[str, Any]]


HASH_LABEL = "dev.crewship.config-hash"
EXPECTED_DATA = {
    *("crewship.sqlite3", "crewship.sqlite3-wal", "crewship.sqlite3-shm"),
    *("redis", "logs", "store", "secret-key", "migrate.lock", "start.lock", "start.log"),
}


class Leftovers:
    """What this installation's builds left: on the engine by the names in its records (others use
    the engine at the same time), and below its own directories."""

    def __init__(self, client: docker.DockerClient, stack: Stack) -> None:
        self._client, self._stack = client, stack

    def look(self) -> set[str]:
        rows = self._stack.rows
        jobs = [str(job) for (job,) in rows("SELECT id FROM provisioning_provisionjob")]
        listed = self._client.api.containers(all=True)
        prefixes = tuple(f"crewship-build-{job.removeprefix('job_').lower()}" for job in jobs)
        names = [name.lstrip("/") for c in listed for name in c["Names"] or []]
        hashes = {h for (h,) in rows("SELECT config_hash FROM provisioning_provisionjob")}
        cached = {tag for (tag,) in rows("SELECT tag FROM cache_cachedimage")}
        drafts = "SELECT tag FROM cache_layer WHERE image_id = '' OR kind = 'final'"
        return {
            *(name for name in names if name.startswith(prefixes)),
            *(name for (name,) in rows("SELECT name FROM provisioning_scratchcontainer")),
            *(tag for (tag,) in rows(drafts)),
            *self._images(hashes, cached),
            *(p.name for p in self._stack.temp_dir.iterdir()),
            *({p.name for p in self._stack.data_dir.iterdir()} - EXPECTED_DATA),
        }

    def _images(self, hashes: set[str], cached: set[str]) -> set[str]:
        """Images that were made for these configs and that the records do not name."""
        labelled = self._client.api.images(filters={"label": HASH_LABEL})
        return {
            image["Id"]
            for image in labelled
            if image["Labels"][HASH_LABEL] in hashes and not cached & set(image["RepoTags"] or [])
        }


@pytest.fixture
def nothing_is_left(docker_client: docker.DockerClient, stack: Stack, api: Api) -> Iterator[None]:
    leftovers = Leftovers(docker_client, stack)
    before = leftovers.look()
    yield
    # Whatever a job could not remove itself, the watcher removes within seconds.
    with suppress(AssertionError):
        wait_until(lambda: leftovers.look() <= before, 60, "nothing is left", 0.3)
    assert leftovers.look() - before == set()


def _failed(api: Api, slug: str, config: dict[str, Any]) -> dict[str, Any]:
    crew = api.crew(slug, config)
    api.provision(crew)
    status = api.wait(crew)
    assert status["status"] == "failed", status
    error = api.jobs(crew)[0]["error"]
    assert status["error"] == error["message"]
    return dict(error)


def _push_feature(registry: str, name: str, archive: bytes, digest: str | None = None) -> str:
    """A feature's manifest in the real registry; returns its reference."""
    base = f"http://{registry}/v2/crew/{name}"
    with httpx.Client() as http:

        def push(blob: bytes) -> str:
            real = "sha256:" + hashlib.sha256(blob).hexdigest()
            place = http.post(f"{base}/blobs/uploads/").headers["Location"]
            done = http.put(f"{place}&digest={real}", content=blob)
            assert done.status_code == 201, done.text
            return real

        config, layer = push(b"{}"), push(archive)
        metadata = {"id": name, "version": "1.0.0"}
        manifest_type = "application/vnd.oci.image.manifest.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": {"mediaType": "application/vnd.devcontainers", "digest": config, "size": 2},
            "layers": [
                {
                    "mediaType": "application/vnd.devcontainers.layer.v1+tar",
                    "digest": layer,
                    "size": len(archive),
                }
            ],
            "annotations": {"dev.containers.metadata": json.dumps(metadata)},
        }
        put = http.put(
            f"{base}/manifests/1",
            content=json.dumps(manifest),
            headers={"Content-Type": manifest_type},
        )
        assert put.status_code == 201, put.text
    return f"{registry}/crew/{name}:1"


def _archive(name: str, extra: str | None = None) -> bytes:
    files = {
        "./devcontainer-feature.json": json.dumps({"id": name, "version": "1.0.0"}),
        "./install.sh": "#!/bin/sh\necho installed\n",
    }
    if extra:
        files[extra] = "outside"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(text), 0o755
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def test_an_unknown_publisher_is_refused_at_save(api: Api, config: Config, slug: str) -> None:
    made = config(features={"ghcr.io/somebody/features/x:1": {}})
    answer = api.http.post(
        "/crews", json={"name": slug, "slug": slug, "devcontainer_config": json.dumps(made)}
    )
    assert answer.status_code == 400
    assert [e["code"] for e in answer.json()["errors"]] == ["publisher_not_allowed"]


@pytest.mark.usefixtures("nothing_is_left")
def test_a_missing_feature_is_named(api: Api, config: Config, slug: str) -> None:
    error = _failed(api, slug, config(features={ref("no-such"): {}}))
    assert error["code"] in {"not_found", "feature_not_found"}
    assert "no-such" in error["message"]


@pytest.mark.usefixtures("nothing_is_left")
def test_a_missing_base_image_is_image_not_found(
    api: Api, config: Config, slug: str, image_registry: str
) -> None:
    error = _failed(api, slug, {**config(), "image": f"{image_registry}/no/such:1"})
    assert error["code"] == "image_not_found"
    assert f"{image_registry}/no/such:1" in error["message"]


@pytest.mark.usefixtures("nothing_is_left")
def test_an_unreachable_registry_is_registry_unreachable(
    api: Api, config: Config, slug: str
) -> None:
    error = _failed(api, slug, {**config(), "image": "127.0.0.1:1/no/such:1"})
    assert error["code"] == "registry_unreachable"
    assert "127.0.0.1:1/no/such:1" in error["message"]


@pytest.mark.usefixtures("nothing_is_left")
def test_an_install_sh_that_exits_3_is_shown_with_its_last_lines(
    api: Api, config: Config, slug: str
) -> None:
    error = _failed(api, slug, config(features={ref("fail"): {}}))
    assert ref("fail") in error["message"]
    assert "exit code 3" in error["message"]
    assert "the last words" in error["message"]


@pytest.mark.usefixtures("nothing_is_left")
def test_a_failing_hook_is_named_with_its_exit_code(api: Api, config: Config, slug: str) -> None:
    error = _failed(api, slug, config(postCreateCommand="echo why; exit 4"))
    assert error["code"] == "hook_failed"
    assert "postCreateCommand" in error["message"]
    assert "exit code 4" in error["message"]
    assert "why" in error["message"]


@pytest.mark.usefixtures("nothing_is_left")
def test_a_wrong_digest_is_refused(
    api: Api, config: Config, slug: str, image_registry: str
) -> None:
    _push_feature(image_registry, "pinned", _archive("pinned"))
    wrong = "sha256:" + "0" * 64
    error = _failed(api, slug, config(features={f"{image_registry}/crew/pinned@{wrong}": {}}))
    assert error["code"] in {"not_found", "feature_not_found", "digest_mismatch"}
    assert wrong[:20] in error["message"]


@pytest.mark.usefixtures("nothing_is_left")
def test_an_archive_that_reaches_outside_is_refused(
    api: Api, config: Config, slug: str, image_registry: str
) -> None:
    hostile = _push_feature(image_registry, "hostile", _archive("hostile", "../x"))
    error = _failed(api, slug, config(features={hostile: {}}))
    assert error["code"] == "archive_unsafe"
    assert hostile in error["message"]
    assert "../x" in error["message"]


def test_a_feature_from_a_real_registry_is_installed(
    api: Api, config: Config, slug: str, image_registry: str
) -> None:
    feature = _push_feature(image_registry, "fine", _archive("fine"))
    crew = api.crew(slug, config(features={feature: {}}))
    api.build(crew)
    [resolved] = api.jobs(crew)[0]["resolved_features"]
    assert resolved["ref"] == feature
    assert "@sha256:" in resolved["resolved"]


def test_a_base_image_from_a_real_registry_is_pulled(
    api: Api, config: Config, slug: str, image_registry: str, docker_client: docker.DockerClient
) -> None:
    name = f"{image_registry}/base/debian"
    docker_client.images.get("debian:bookworm-slim").tag(name, "1")
    docker_client.images.push(name, "1")
    docker_client.images.remove(f"{name}:1")
    crew = api.crew(slug, {**config(), "image": f"{name}:1"})
    try:
        api.build(crew)
        assert f"Base image {name}:1 pulled" in api.log(crew)
    finally:
        docker_client.images.remove(f"{name}:1")
