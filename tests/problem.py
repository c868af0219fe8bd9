"""Reading an answer that should be Problem Details (RFC 9457)."""

from __future__ import annotations

from typing import Any

MEMBERS = ("type", "title", "status", "detail", "instance", "code")


def problem(response: Any, status: int, code: str | None = None) -> dict[str, Any]:
    """The body of an answer that is a problem with this status (and code)."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert [name for name in MEMBERS if name not in body] == []
    assert body["status"] == status
    assert body["instance"].startswith("/api/")
    if code is not None:
        assert body["code"] == code
    return body
