"""An example for every body in the OpenAPI document: a postprocessing hook of drf-spectacular.

Keyed by component, so that a shape has one example wherever it is answered. A test holds each
against its schema and finds those that are missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

HASH: Final = "9e72ea1c6f0b5d4f8a1b7c3d2e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071"
TAG: Final = f"crewship-cache:{HASH[:12]}"
DIGEST: Final = "sha256:3b1c5f0a9d8e7f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8"
CREW_ID: Final = "crw_01KB0V7K5M3Q4R5S6T7V8W9X0Y"
JOB_ID: Final = "job_01KB0V8A1B2C3D4E5F6G7H8J9K"
AT: Final = "2026-11-02T09:30:00Z"
LATER: Final = "2026-11-02T09:31:12Z"
FEATURE: Final = "ghcr.io/devcontainers/features/node:1"
CONFIG: Final = f'{{\n  "image": "debian:bookworm-slim",\n  "features": {{"{FEATURE}": {{}}}}\n}}\n'
MISE: Final = '{"tools": {"python": "3.12"}}'

CREW_INPUT: Final = {
    "name": "Backend",
    "slug": "backend",
    "devcontainer_config": CONFIG,
    "mise_config": MISE,
    "auto_provision": False,
}
CREW: Final = {
    "id": CREW_ID,
    "runtime_image": None,
    "lock_config": None,
    "cached_image": TAG,
    "config_hash": HASH,
    "provision_status": "completed",
    "agent_memory_mb": None,
    "agent_cpus": None,
    "agent_pids": None,
    "created_at": AT,
    "updated_at": AT,
    **CREW_INPUT,
}
AGENT_INPUT: Final = {
    "name": "reviewer",
    "command": "python -m reviewer",
    "env": {"LOG_LEVEL": "info", "API_KEY": {"secret": "the value"}},
}
AGENT: Final = {
    **AGENT_INPUT,
    "id": "agt_01KB0V9M3Q4R5S6T7V8W9X0Y1Z",
    "env": {"LOG_LEVEL": "info", "API_KEY": {"secret": True}},
    "status": "running",
    "error": "",
    "exit_code": None,
    "restarts": 0,
    "image": TAG,
    "stale": False,
    "started_at": LATER,
    "created_at": AT,
}
RESOLVED: Final = {
    "ref": FEATURE,
    "resolved": f"ghcr.io/devcontainers/features/node@{DIGEST}",
    "version": "1.6.3",
    "options": [],
    "depends_on": [],
}
JOB: Final = {
    "id": JOB_ID,
    "crew_id": CREW_ID,
    "state": "completed",
    "rebuild": False,
    "refresh": False,
    "cache_hit": False,
    "config_hash": HASH,
    "image_id": DIGEST,
    "step": 6,
    "message": "the image is ready",
    "error": None,
    "resolved_features": [RESOLVED],
    "waits_for": None,
    "log_pruned_at": None,
    "created_at": AT,
    "started_at": AT,
    "finished_at": LATER,
}
MEMBER: Final = {
    "id": "mbr_01KB0VB4R5S6T7V8W9X0Y1Z2A3",
    "email": "mona@example.com",
    "name": "Mona",
    "role": "MANAGER",
    "created_at": AT,
}
WORKSPACE: Final = {
    "id": "wsp_01KB0VC5S6T7V8W9X0Y1Z2A3B4",
    "slug": "acme",
    "name": "Acme",
    "role": "MANAGER",
    "created_at": AT,
}
TOKEN: Final = {
    "id": "tok_01KB0VD6T7V8W9X0Y1Z2A3B4C5",
    "name": "laptop",
    "workspace_id": WORKSPACE["id"],
    "role": None,
    "created_at": AT,
    "expires_at": "2027-01-31T09:30:00Z",
    "last_used_at": None,
}
CATALOG_ENTRY: Final = {
    "ref": FEATURE,
    "name": "Node.js",
    "description": "Node.js, nvm and yarn",
    "category": "languages",
    "icon": "hexagon",
    "size_hint": "~180 MB",
}
FILES: Final = {
    "slug": "backend",
    "name": "Backend",
    "runtime_image": "",
    "files": {".devcontainer/devcontainer.json": CONFIG, "mise.toml": MISE},
    "locked": True,
}
LAYERS: Final = (
    ("user", "user agent", True),
    ("feature", "node:1", True),
    ("mise", "mise: python@3.12", False),
    ("final", "config", False),
)
EXAMPLES: Final[Mapping[str, Any]] = {  # Any: JSON
    "AuditEventOutput": {
        "id": "aud_01KB0VE7V8W9X0Y1Z2A3B4C5D6",
        "at": AT,
        "actor": "mona@example.com",
        "token": "laptop",
        "via": "api",
        "action": "crew.config_changed",
        "target": {"type": "crew", "id": CREW_ID, "label": "backend"},
        "data": {
            "fields": ["devcontainer_config"],
            "config_hash": {"from": None, "to": HASH},
        },
        "request_id": "req_01KB0VF8W9X0Y1Z2A3B4C5D6E7",
    },
    "CachedImagesOutput": {
        "images": [
            {
                "tag": TAG,
                "config_hash": HASH,
                "created_at": LATER,
                "size_bytes": 412_300_000,
                "referenced_by_crew_ids": [CREW_ID],
            }
        ]
    },
    "CrewInputRequest": CREW_INPUT,
    "PatchedCrewInputRequest": {"mise_config": '{"tools": {"python": "3.13"}}'},
    "CrewOutput": CREW,
    "SavedCrewOutput": {
        **CREW,
        "cached_image": None,
        "provision_status": "idle",
        "warnings": [
            {
                "path": "forwardPorts",
                "code": "key_ignored",
                "message": "forwardPorts has no effect here",
            }
        ],
    },
    "CrewFilesOutput": FILES,
    "CrewFilesInputRequest": {"slug": "backend", "files": FILES["files"]},
    "AgentInputRequest": AGENT_INPUT,
    "PatchedAgentInputRequest": {"command": "python -m reviewer --verbose"},
    "AgentOutput": AGENT,
    "SavedAgentOutput": AGENT,
    "ImageStatusOutput": {
        "cached_image": TAG,
        "running_digest": DIGEST,
        "resolved_digest": DIGEST,
        "behind": False,
        "reason": "Base and features are what their registries have.",
        "features": [
            {
                "ref": FEATURE,
                "running_digest": DIGEST,
                "resolved_digest": DIGEST,
                "behind": False,
                "reason": "",
            }
        ],
        "agents_pending_restart": 0,
    },
    "JobOutput": JOB,
    "LockOutput": {
        "features": {
            FEATURE: {
                "version": "1.6.3",
                "resolved": RESOLVED["resolved"],
                "integrity": DIGEST,
            }
        }
    },
    "PlanInputRequest": {"devcontainer_config": CONFIG, "mise_config": MISE},
    "PlanOutput": {
        "config_hash": HASH,
        "base": "debian:bookworm-slim",
        "features": [{"ref": FEATURE, "options": {}, "env": {"VERSION": "lts"}}],
        "layers": [
            {"kind": kind, "label": label, "key": HASH, "present": present}
            for kind, label, present in LAYERS
        ],
        "warnings": [],
        "error": None,
        "cached_image": None,
        "would_build": 2,
        "notes": [],
    },
    "ProvisionStatusOutput": {
        "status": "running",
        "devcontainer_config": CONFIG,
        "cached_image": None,
        "config_hash": HASH,
        "agents_pending_restart": 0,
        "step": 3,
        "total": 6,
        "message": "installing devcontainer features (1 of 1: node)",
        "steps": [
            "validate",
            "pull-base",
            "install-features",
            "install-mise",
            "snapshot",
            "tag",
        ],
        "log_tail": ["Installing feature node:1", "| Reading package lists..."],
        "started_at": AT,
    },
    "StartedOutput": {
        "status": "started",
        "message": "Provisioning started. Monitor with 'crewship crew provision status backend'.",
    },
    "CancelOutput": {"cancelled": True, "job_id": JOB_ID, "status": "idle"},
    "RestartedOutput": {"restarted": 2, "failed": []},
    "FeatureCatalog": {"features": [CATALOG_ENTRY]},
    "FeatureDetails": {
        **CATALOG_ENTRY,
        "options": [
            {
                "name": "version",
                "type": "string",
                "default": "lts",
                "description": "Node.js version",
                "enum": [],
                "proposals": ["lts", "22"],
            }
        ],
    },
    "RuntimeCatalog": {
        "runtimes": [
            {
                "name": "Python",
                "tool": "python",
                "description": "Python interpreter",
                "category": "languages",
                "icon": "terminal",
                "versions": ["3.13", "3.12"],
                "default_version": "3.13",
                "backends": [],
            }
        ]
    },
    "MeOutput": {
        "email": "mona@example.com",
        "name": "Mona",
        "token": TOKEN,
        "workspaces": [WORKSPACE],
    },
    "NewMemberInputRequest": {"email": "bob@example.com", "role": "MEMBER"},
    "PatchedRoleInputRequest": {"role": "MANAGER"},
    "MemberOutput": MEMBER,
    "WorkspaceOutput": WORKSPACE,
    "NewTokenInputRequest": {"name": "laptop", "days": 30},
    "TokenOutput": TOKEN,
    "MadeTokenOutput": {**TOKEN, "token": "crs_shown-this-once"},  # an example, no secret
    "Problem": {
        "type": "urn:crewship:error:config_invalid",
        "title": "Bad Request",
        "status": 400,
        "detail": "privileged: crews may not run privileged containers",
        "instance": "/api/v1/crews",
        "code": "config_invalid",
        "hint": "Correct the listed places and save again.",
        "errors": [
            {
                "path": "privileged",
                "code": "privileged_refused",
                "message": "crews may not run privileged containers",
            }
        ],
    },
}


def add_examples(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:  # Any: OpenAPI
    """Components have their ``examples``; a page shows one of what it lists."""
    schemas = result["components"]["schemas"]
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
        page = schemas.get(f"Paginated{name}List")
        if page is not None:
            page["examples"] = [{"results": [example], "next": None, "previous": None}]
    return result
