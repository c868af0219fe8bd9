"""What agents have on a host: written down before it is made, removed by these names only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv4Network
from itertools import islice

from django.db.models import Exists, OuterRef, QuerySet

from cache.models import DockerHost
from cache.upkeep import Kind, Upkeep
from crewship.crews.models import Agent
from crewship.domain.errors import Conflict, Unavailable
from crewship.engine.base import Engine
from crewship.engine.running import SubnetTaken
from provisioning.agents.agent_plan import AgentPlan, network_name
from provisioning.models import AgentContainer, AgentNetwork, AgentVolume

SUBNET_PREFIX = 25  # 125 agents of one crew; a /16 holds 512 crews that run at once
SUBNET_TRIES = 64


class NoSubnet(Unavailable):
    """No addresses are left for the network of another crew whose agents run."""

    code = "no_subnet"
    hint = "Give CREWSHIP_AGENT_SUBNETS a larger network, or stop crews that need not run."


def note_plan(host_name: str, plan: AgentPlan) -> None:
    """Container and volumes of the plan are in our records."""
    AgentContainer.objects.update_or_create(
        host_name=host_name,
        name=plan.spec.name,
        defaults={"agent_id": plan.agent_id, "crew_id": plan.crew_id},
    )
    for volume in plan.spec.volumes:
        AgentVolume.objects.update_or_create(
            host_name=host_name,
            name=volume.volume,
            defaults={"crew_id": plan.crew_id, "target": volume.target, "delete_at": None},
        )


def containers_of(host_name: str, agent_id: str) -> QuerySet[AgentContainer]:
    return AgentContainer.objects.filter(host_name=host_name, agent_id=agent_id)


def orphaned_containers(host_name: str) -> QuerySet[AgentContainer]:
    """Those whose agent is gone, or belongs to another host by now."""
    theirs = Agent.objects.filter(pk=OuterRef("agent_id"), host_name=host_name)
    return AgentContainer.objects.filter(~Exists(theirs), host_name=host_name)


def ensure_network(engine: Engine, host_name: str, crew_id: str, pool: IPv4Network) -> None:
    """The crew's network is there. One caller at a time a host. Raises NoSubnet.

    The engine's own choice would end at about 30 networks, and it would not tell whose they are.
    """
    name = network_name(crew_id)
    row = AgentNetwork.objects.filter(host_name=host_name, crew_id=crew_id).first()
    if row is not None:
        try:
            engine.create_network(name, row.subnet)
        except SubnetTaken:
            row.delete()  # somebody else's by now: another one is looked for
        else:
            return
    taken = set(AgentNetwork.objects.filter(host_name=host_name).values_list("subnet", flat=True))
    free = (subnet for subnet in _subnets(pool, crew_id) if subnet not in taken)
    for subnet in islice(free, SUBNET_TRIES):
        row = AgentNetwork.objects.create(
            host_name=host_name, name=name, crew_id=crew_id, subnet=subnet
        )
        try:
            engine.create_network(name, subnet)
        except SubnetTaken:
            row.delete()
            continue
        return
    raise NoSubnet(f"No free addresses for a network are left in {pool}.")


def _subnets(pool: IPv4Network, crew_id: str) -> Iterator[str]:
    """All parts of the pool, from a place that differs from crew to crew: several installations
    may share an engine."""
    prefix = max(SUBNET_PREFIX, pool.prefixlen)
    count = 2 ** (prefix - pool.prefixlen)
    size = 2 ** (32 - prefix)
    first = int.from_bytes(hashlib.sha256(crew_id.encode()).digest()[:4], "big")
    for number in range(count):
        offset = (first + number) % count * size
        yield str(IPv4Network((int(pool.network_address) + offset, prefix)))


def remove_unused_networks(engine: Engine, host: DockerHost) -> None:
    """Networks of crews that have no container on the host are gone."""
    used = AgentContainer.objects.filter(host_name=host.name, crew_id=OuterRef("crew_id"))
    with Upkeep(Kind.NETWORK, host, engine) as upkeep:
        for row in AgentNetwork.objects.filter(~Exists(used), host_name=host.name):
            upkeep.attempt(row.name, partial(_remove_unless_used, engine.remove_network, row))


def remove_given_up_volumes(engine: Engine, host: DockerHost) -> None:
    """Volumes that are to go are gone, as soon as no container has them."""
    with Upkeep(Kind.VOLUME, host, engine) as upkeep:
        for row in AgentVolume.objects.filter(host_name=host.name, delete_at__isnull=False):
            upkeep.attempt(row.name, partial(_remove_unless_used, engine.remove_volume, row))


def _remove_unless_used(remove: Callable[[str], bool], row: AgentNetwork | AgentVolume) -> None:
    try:
        remove(row.name)
    except Conflict:
        return  # of a container that is not gone yet: soon, then
    row.delete()
