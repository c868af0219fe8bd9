"""Agents' secret values at rest: one sealed text an agent, opened only where its container starts.

Fernet (AES-128-CBC with HMAC-SHA256) under a key that HKDF (RFC 5869) makes of the installation's
secret key and the agent's id: a sealed text that was copied to another agent's row does not open.
Former secret keys (SECRET_KEY_FALLBACKS) still open what they sealed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from crewship.crews.models import Agent
from crewship.domain.errors import Unavailable

MASK: Final = "***"
MASKED_FROM: Final = 4  # characters; masking every "1" would only wreck a log
_PURPOSE: Final = b"crewship agent secrets v1\0"  # keys of other uses are other keys


class SecretsUnreadable(Unavailable):
    """An agent's secret values were sealed under a secret key that this installation lacks."""

    code = "secrets_unreadable"
    hint = "Name the former key in CREWSHIP_SECRET_KEY_FALLBACKS, or set the agent's secrets again."


def seal(agent_id: str, values: Mapping[str, str]) -> str:
    """The values as a text that only ``unseal`` of the agent with this id opens; "" for none."""
    if not values:
        return ""
    return _fernet(agent_id).encrypt(json.dumps(dict(values)).encode()).decode()


def unseal(agent: Agent) -> dict[str, str]:
    """The agent's secret values by name. Raises SecretsUnreadable, which quotes nothing."""
    if not agent.sealed_env:
        return {}
    try:
        opened = _fernet(agent.pk).decrypt(agent.sealed_env.encode())
    except InvalidToken as err:
        raise SecretsUnreadable(f"The secrets of the agent {agent.name} can't be opened.") from err
    values: dict[str, str] = json.loads(opened)
    return values


def mask(text: str, secrets: Iterable[str]) -> str:
    """``text`` with ``***`` for every secret value in it, and for each line of those that have
    several; values shorter than MASKED_FROM stay."""
    parts = {part for value in secrets for part in (value, *value.splitlines())}
    for part in sorted(parts, key=len, reverse=True):  # one may be in another
        if len(part) >= MASKED_FROM:
            text = text.replace(part, MASK)
    return text


def _fernet(agent_id: str) -> MultiFernet:
    """Seals under the newest key, opens under any."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(_derive(key, agent_id)) for key in keys])


def _derive(secret_key: str, agent_id: str) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE + agent_id.encode())
    return base64.urlsafe_b64encode(hkdf.derive(secret_key.encode()))
