"""Networks and volumes through the SDK."""

from __future__ import annotations

from typing import Any

from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

from crewship.domain.errors import Conflict
from crewship.engine.docker_clients import DockerClients
from crewship.engine.docker_errors import engine_errors, explanation
from crewship.engine.running import SubnetTaken

_TALK_TO_EACH_OTHER = "com.docker.network.bridge.enable_icc"
_OVERLAPS = ("overlaps", "pool overlaps", "conflicts with network")


class DockerPlaces(DockerClients):
    def create_network(self, name: str, subnet: str) -> None:
        self._create(name, ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]))

    def create_build_network(self, name: str) -> None:
        self._create(name, options={_TALK_TO_EACH_OTHER: "false"})

    def _create(self, name: str, **settings: Any) -> None:
        with engine_errors(f"creating network {name}"):
            try:
                self._act.create_network(name, driver="bridge", check_duplicate=True, **settings)
            except APIError as err:
                text = explanation(err).lower()
                if err.status_code == 409 and "already exists" in text:
                    return
                if any(word in text for word in _OVERLAPS):
                    raise SubnetTaken(f"The addresses for {name} are taken on the host.") from err
                raise

    def remove_network(self, name: str) -> bool:
        with engine_errors(f"removing network {name}"):
            try:
                self._act.remove_network(name)
            except NotFound:
                return False
            except APIError as err:
                if "active endpoints" in explanation(err):
                    raise Conflict(f"Containers are in the network {name}.") from err
                raise
        return True

    def remove_volume(self, name: str) -> bool:
        with engine_errors(f"removing volume {name}"):
            try:
                self._act.remove_volume(name)
            except NotFound:
                return False
        return True
