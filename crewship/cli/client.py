"""The API as the client commands see it: JSON in and out, problems as errors of one line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


ANSWER_S = 150  # restarting and deleting agents is answered when the host has done it
DATABASE_WAIT_S = 30.0  # how long a question waits for the server's database to be back
DATABASE_PAUSE_S = 1.0


class Client:
    """Paths are below /api/v1. Raises Refused, and Unavailable where nobody answers.

    ``workspace`` (id or slug; empty: the server finds out) is where all of it happens.
    """

    def __init__(
        self,
        account: Account,
        transport: httpx.BaseTransport | None = None,
        *,
        workspace: str = "",
    ) -> None:
        self.url = account.url
        headers = {"Authorization": f"Bearer {account.token}", "User-Agent": "crewship-cli"}
        if workspace:
            headers["X-Workspace-ID"] = workspace
        try:
            self._http = httpx.Client(
                base_url=f"{account.url}/api/v1",
                headers=headers,
                timeout=httpx.Timeout(30, read=ANSWER_S),
                transport=transport,
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as err:
            raise self._away(err) from err

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
        answer = self._request(method, path, body)
        value = _json(answer)
        if answer.status_code != 204 and value is None:
            raise self._no_crewship()
        return value

    def text(self, path: str) -> str:
        """The answer's body, byte for byte."""
        return self._request("GET", path).content.decode(errors="replace")

    @contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str], read_timeout_s: float
    ) -> Iterator[httpx.Response]:
        """An answer whose body is still to come. Raises also while it is read."""
        timeout = httpx.Timeout(30, read=read_timeout_s)
        try:
            with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refused(answer)
                yield answer
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            raise self._away(err) from err

    def _request(self, method: str, path: str, body: object = None) -> httpx.Response:
        deadline = time.monotonic() + DATABASE_WAIT_S
        while True:
            try:
                answer = self._http.request(method, path, json=body)
            except (httpx.HTTPError, httpx.InvalidURL) as err:
                raise self._away(err) from err
            if answer.is_success:
                return answer
            refused = _refused(answer)
            # Only what changes nothing is asked again: a change may have been made.
            passing = method == "GET" and refused.error_code == "database_unavailable"
            if not passing or time.monotonic() > deadline:
                raise refused
            time.sleep(DATABASE_PAUSE_S)

    def _away(self, err: Exception) -> Unavailable:
        return Unavailable(
            f"{self.url} does not answer: {err}",
            code="unreachable",
            hint="Is the server running, and is this its address?",
        )

    def _no_crewship(self) -> Unavailable:
        return Unavailable(
            f"{self.url} answers, but not as a Crewship server.",
            code="unreachable",
            hint="Check the address: it is the server's, without a path.",
        )

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


def _refused(answer: httpx.Response) -> Refused:
    if answer.is_redirect:
        target = str(answer.headers.get("Location", ""))
        return Refused(answer.status_code, {"hint": f"It points to {target}: use that address."})
    value = _json(answer)
    return Refused(answer.status_code, value if isinstance(value, dict) else {})


def _json(answer: httpx.Response) -> Any:  # Any: JSON
    try:
        return answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
