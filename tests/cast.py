"""The people of the tests. Alice owns the workspace, Adam is its admin, Mona manages, Bob is a
member, Vera only views. Mallory is a stranger: she owns a workspace of her own, with a crew."""

from __future__ import annotations

import json
from dataclasses import dataclass

from crewship.crews.models import Crew
from crewship.crews.services import create_crew
from crewship.domain.roles import Role
from crewship.workspaces.models import ApiToken, Membership, User, Workspace
from crewship.workspaces.tokens import make_token

CONFIG = '{\n  // what everybody starts from\n  "image": "debian:bookworm-slim",\n}\n'
PEOPLE = ("alice", "adam", "mona", "bob", "vera", "mallory")


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    user: User
    membership: Membership
    token: ApiToken
    secret: str  # the bearer token; bound to no workspace, with no role of its own


@dataclass(frozen=True, slots=True)
class Cast:
    workspace: Workspace
    crew: Crew
    alice: Person
    adam: Person
    mona: Person
    bob: Person
    vera: Person
    mallory: Person
    strange_workspace: Workspace  # mallory's
    strange_crew: Crew

    def person(self, name: str) -> Person:
        person: Person = getattr(self, name)
        return person


def make_person(name: str, workspace: Workspace, role: Role) -> Person:
    user = User.objects.create_user(f"{name}@example.com", f"{name}-has-a-password", name=name)
    membership = Membership.objects.create(workspace=workspace, user=user, role=role)
    token, secret = make_token(user=user, name=f"{name}'s")
    return Person(name, user, membership, token, secret)


def make_crew(workspace: Workspace, slug: str, config: object = CONFIG, **values: object) -> Crew:
    """A crew as the API would have stored it; ``config`` is a text or what becomes JSON."""
    text = config if isinstance(config, str) or config is None else json.dumps(config)
    fields = {"name": slug.title(), "slug": slug, "devcontainer_config": text, **values}
    crew, _ = create_crew(workspace, fields)
    return crew


def make_cast() -> Cast:
    workspace = Workspace.objects.create(slug="acme", name="Acme")
    strange = Workspace.objects.create(slug="evil", name="Evil")
    return Cast(
        workspace=workspace,
        crew=make_crew(workspace, "backend"),
        alice=make_person("alice", workspace, Role.OWNER),
        adam=make_person("adam", workspace, Role.ADMIN),
        mona=make_person("mona", workspace, Role.MANAGER),
        bob=make_person("bob", workspace, Role.MEMBER),
        vera=make_person("vera", workspace, Role.VIEWER),
        mallory=make_person("mallory", strange, Role.OWNER),
        strange_workspace=strange,
        strange_crew=make_crew(strange, "strange", {"image": "debian:sid"}),
    )
