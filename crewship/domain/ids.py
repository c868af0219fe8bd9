"""Prefixed ids: ``crw_`` + a ULID, sortable by time of making, valid in URLs, names and tags."""

from __future__ import annotations

import re
from enum import StrEnum

from ulid import ULID


class IdPrefix(StrEnum):
    WORKSPACE = "wsp"
    CREW = "crw"
    AGENT = "agt"
    JOB = "job"
    MEMBERSHIP = "mbr"
    TOKEN = "tok"  # noqa: S105  # a prefix, no secret
    INVITATION = "inv"
    HOST = "hst"
    AUDIT_EVENT = "aud"


_BODY = re.compile(r"[A-Za-z0-9_-]{1,64}")


def new_id(prefix: IdPrefix) -> str:
    return f"{prefix}_{ULID()}"


def is_well_formed(text: str, prefix: IdPrefix) -> bool:
    """Whether ``text`` could be an id of this kind: the prefix, then 1-64 of [A-Za-z0-9_-]."""
    head, _, body = text.partition("_")
    return head == prefix and _BODY.fullmatch(body) is not None


def new_workspace_id() -> str:
    return new_id(IdPrefix.WORKSPACE)


def new_crew_id() -> str:
    return new_id(IdPrefix.CREW)


def new_agent_id() -> str:
    return new_id(IdPrefix.AGENT)


def new_job_id() -> str:
    return new_id(IdPrefix.JOB)


def new_membership_id() -> str:
    return new_id(IdPrefix.MEMBERSHIP)


def new_token_id() -> str:
    return new_id(IdPrefix.TOKEN)


def new_invitation_id() -> str:
    return new_id(IdPrefix.INVITATION)


def new_audit_event_id() -> str:
    return new_id(IdPrefix.AUDIT_EVENT)


def new_host_id() -> str:
    return new_id(IdPrefix.HOST)
