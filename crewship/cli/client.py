"""The API as the client commands see it: JSON in and out, problems as errors of one line."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

import httpx

from crewship.cli.account import Account
from crewship.domain.errors import CrewshipError, Unavailable

MAX_PAGES = 200


class Refused(CrewshipError):
    """The server answered 4xx or 5xx; ``status`` and the problem's members say why."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:  # Any: JSON
        super().__init__(
            str(problem.get("detail") or f"The server answered {status}."),
            code=str(problem.get("code") or f"http_{status}"),
            hint=str(problem.get("hint") or ""),
            extra=problem,
        )
        self.status = status


class Client:
    """Paths are below /api/v1. Raises Refused, and Unavailable where nobody answers."""

    def __init__(self, account: Account, transport: httpx.BaseTransport | None = None) -> None:
        self._url = account.url
        self._http = httpx.Client(
            base_url=f"{account.url}/api/v1",
            headers={"Authorization": f"Bearer {account.token}"},
            timeout=30,
            transport=transport,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: object = None) -> Any:  # Any: JSON
        """The decoded body of the answer, None where it has none."""
        try:
            answer = self._http.request(method, path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            raise Unavailable(
                f"{self._url} does not answer: {err}",
                code="unreachable",
                hint="Is the server running, and is this its address?",
            ) from err
        value = _json(answer)
        if answer.is_success:
            return value
        raise Refused(answer.status_code, value if isinstance(value, dict) else {})

    def all(self, path: str) -> list[Any]:
        """The results of all pages of a list."""
        results: list[Any] = []
        for _ in range(MAX_PAGES):
            page = self.call("GET", path)
            results += page["results"]
            if not page["next"]:
                break
            # Only the query is taken: the token goes to no other host than ours.
            path = f"{path.partition('?')[0]}?{httpx.URL(page['next']).query.decode()}"
        return results


def _json(answer: httpx.Response) -> Any:  # Any: JSON
    try:
        return answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
