"""SDK clients by time-out: the SDK sets one per client, not per call."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import docker
from docker.utils import kwargs_from_env

from crewship.engine.docker_errors import engine_errors

QUICK_TIMEOUT_S = 10  # inspect, list, exec: the engine answers from memory
ACT_TIMEOUT_S = 60  # create, start, kill, remove: a slow disk may take its time
POOL_SIZE = 64  # connections that are kept: many agents stop and start at once
LONG_TIMEOUT_S = 600  # commit, import, put_archive: follow the size of the data


class DockerClients:
    """Lazy clients of one engine; nothing is contacted before the first call.

    One SDK client is a ``requests`` session over a locked connection pool, so threads share it;
    processes must not: make the engine after a fork.
    """

    def __init__(
        self,
        connection: Mapping[str, Any] | None = None,  # Any: keyword arguments of docker.APIClient
        *,
        quick_timeout_s: int = QUICK_TIMEOUT_S,
        act_timeout_s: int = ACT_TIMEOUT_S,
        long_timeout_s: int = LONG_TIMEOUT_S,
    ) -> None:
        self._connection = connection or {}
        self._quick_timeout_s = quick_timeout_s
        self._act_timeout_s = act_timeout_s
        self._long_timeout_s = long_timeout_s
        self._clients: dict[int, docker.APIClient] = {}
        self._lock = threading.Lock()

    @property
    def _quick(self) -> docker.APIClient:
        return self._client(self._quick_timeout_s)

    @property
    def _act(self) -> docker.APIClient:
        return self._client(self._act_timeout_s)

    @property
    def _long(self) -> docker.APIClient:
        return self._client(self._long_timeout_s)

    @property
    def is_local(self) -> bool:
        """It is reached without a network. Its socket may still lead into a virtual machine."""
        # The SDK calls a Unix socket http+docker://localhost, and one through ssh http+docker://ssh.
        return urlsplit(self._quick.base_url).hostname in ("localhost", "127.0.0.1", "::1")

    def _client(self, timeout_s: int) -> docker.APIClient:
        """Raises EngineUnreachable: the first use asks the engine for its API version."""
        with self._lock:
            client = self._clients.get(timeout_s)
            if client is None:
                with engine_errors("connecting"):
                    connection = self._connection or kwargs_from_env()
                    # The version is asked quickly even for the long client: an engine that hangs
                    # must not hold the caller for ten minutes.
                    client = docker.APIClient(
                        version="auto",
                        timeout=self._quick_timeout_s,
                        max_pool_size=POOL_SIZE,
                        **connection,
                    )
                client.timeout = timeout_s
                self._clients[timeout_s] = client
            return client

    def close(self) -> None:
        """Every idle connection is closed; the next call opens new ones."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
