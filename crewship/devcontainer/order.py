"""The install order of features (spec, "Installation Order"; where the reference CLI differs from
the text, as it does).

A node is content and options: the same feature with other options is another install, the same
content under another name is not. Dependencies are queued breadth first; then rounds: all ready
nodes of the highest priority are installed, sorted, before readiness is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from functools import cmp_to_key

from crewship.devcontainer.canonical import canonical
from crewship.devcontainer.collation import compare_options, compare_texts
from crewship.devcontainer.findings import Findings
from crewship.devcontainer.policy import Policy
from crewship.devcontainer.refs import parse_feature_ref
from crewship.devcontainer.requests import read_request
from crewship.devcontainer.types import FeatureMetadata, FeatureRef, FeatureRequest, ResolvedFeature
from crewship.domain.errors import (
    ConfigInvalid,
    FeatureCycle,
    FeatureNotFound,
    InvalidFeatureRef,
    PublisherNotAllowed,
    TooManyFeatures,
)

Resolve = Callable[[FeatureRef], ResolvedFeature | None]
Identity = tuple[str, str]  # content, canonical options


@dataclass(slots=True, eq=False)
class _Node:
    request: FeatureRequest
    resolved: ResolvedFeature
    path: str
    identity: Identity
    hard: set[Identity] = field(default_factory=set)
    soft: list[frozenset[Identity]] = field(default_factory=list)  # one of each must be installed
    priority: int = 0

    @property
    def ref(self) -> FeatureRef:
        return self.request.ref

    @property
    def namespace(self) -> str:
        return _namespace(self.ref)

    @property
    def ids(self) -> frozenset[str]:
        return _ids(self.ref.id, self.resolved.metadata)

    def is_ready(self, installed: Set[Identity]) -> bool:
        return self.hard <= installed and not any(met.isdisjoint(installed) for met in self.soft)


def order_features(
    requests: Sequence[FeatureRequest],
    override: Sequence[str],
    resolve: Resolve,
    *,
    policy: Policy,
    prefetch: Callable[[Sequence[FeatureRef]], None] | None = None,
    aliases: Resolve | None = None,
) -> tuple[tuple[FeatureRequest, ResolvedFeature], ...]:
    """The features with their dependencies, in the order to install them.

    ``resolve`` is called once a reference, and only for allowed publishers; None means that there
    is no such feature. ``prefetch`` is called before it, once for each level of dependencies.
    ``aliases``, if given, looks up soft targets that match no queued feature by the names the
    queued ones know of themselves (the reference does; it costs a request a target). Of equal
    nodes the first-listed stays.

    Raises FeatureNotFound (code ``not_found``), FeatureCycle, PublisherNotAllowed, ConfigInvalid
    (``invalid_ref``, ``option_invalid`` in a dependsOn entry), TooManyFeatures; ``extra`` has the
    ``path``.
    """
    nodes = _Graph(resolve, prefetch, policy).queue(requests)
    count = len(override)
    for node in nodes:
        places = [count - i for i, resource in enumerate(override) if resource == node.ref.resource]
        node.priority = max(places, default=0)
    _link_soft(nodes, policy, aliases)
    return tuple((node.request, node.resolved) for node in _rounds(nodes))


_Wanted = tuple[FeatureRequest, str, _Node | None]  # what, its path, who depends on it


class _Graph:
    """Builds the nodes with their hard edges, level by level."""

    def __init__(
        self,
        resolve: Resolve,
        prefetch: Callable[[Sequence[FeatureRef]], None] | None,
        policy: Policy,
    ) -> None:
        self._resolve = resolve
        self._prefetch = prefetch
        self._policy = policy
        self._found: dict[FeatureRef, ResolvedFeature] = {}
        self._nodes: dict[Identity, _Node] = {}

    def queue(self, requests: Sequence[FeatureRequest]) -> list[_Node]:
        level: list[_Wanted] = [
            (request, f"features.{request.written_ref}", None) for request in requests
        ]
        while level:
            self._fetch(level)
            deeper: list[_Wanted] = []
            for request, path, parent in level:
                resolved = self._found[request.ref]
                identity = (resolved.identity, canonical(request.options))
                if parent is not None:
                    parent.hard.add(identity)
                if identity not in self._nodes:
                    node = _Node(request, resolved, path, identity)
                    self._nodes[identity] = node
                    deeper += [(*entry, node) for entry in self._dependencies(node)]
            self._limit(len(self._nodes))
            level = deeper
        return list(self._nodes.values())

    def _fetch(self, level: Sequence[_Wanted]) -> None:
        """Resolves what the level names; refuses before anything is asked of a registry."""
        wanted: dict[FeatureRef, str] = {}
        for request, path, _ in level:
            if not self._policy.allows_publisher(request.ref):
                raise PublisherNotAllowed(
                    f"{request.ref.resource} is not of an allowed publisher", extra={"path": path}
                )
            if request.ref not in self._found:
                wanted.setdefault(request.ref, path)
        self._limit(len(wanted))
        if wanted and self._prefetch is not None:
            self._prefetch(tuple(wanted))
        for ref, path in wanted.items():
            resolved = self._resolve(ref)
            if resolved is None:
                raise FeatureNotFound(
                    f"there is no feature {ref}", code="not_found", extra={"path": path}
                )
            self._found[ref] = resolved

    def _dependencies(self, node: _Node) -> list[tuple[FeatureRequest, str]]:
        out: list[tuple[FeatureRequest, str]] = []
        findings = Findings()
        for written, options in node.resolved.metadata.depends_on:
            path = f"{node.path}.dependsOn.{written}"
            request = read_request(written, options, path, findings)
            if request is not None:
                out.append((request, path))
        if findings.problems:
            raise ConfigInvalid(findings.problems)
        return out

    def _limit(self, count: int) -> None:
        if count > self._policy.max_features:
            raise TooManyFeatures(
                f"more than {self._policy.max_features} features, dependencies included",
                extra={"path": "features"},
            )


def _link_soft(nodes: Sequence[_Node], policy: Policy, aliases: Resolve | None) -> None:
    """Turns each installsAfter entry into the queued nodes that meet it; drops those of none."""
    for node in nodes:
        for written in node.resolved.metadata.installs_after:
            target = _soft_target(node, written)
            if target is None:
                continue
            names = frozenset({target.id})
            met = _met_by(nodes, target, names)
            if not met and aliases is not None and policy.allows_publisher(target):
                package = aliases(target)
                if package is not None:
                    met = _met_by(nodes, target, _ids(target.id, package.metadata))
            if met:
                node.soft.append(met)


def _met_by(
    nodes: Sequence[_Node], target: FeatureRef, names: frozenset[str]
) -> frozenset[Identity]:
    """The nodes of the target's namespace that go by one of ``names``, old names included."""
    namespace = _namespace(target)
    return frozenset(
        node.identity
        for node in nodes
        if node.namespace == namespace and not names.isdisjoint(node.ids)
    )


def _soft_target(node: _Node, written: str) -> FeatureRef | None:
    """An id alone, as old features write it, means one of the same namespace."""
    try:
        return parse_feature_ref(written if "/" in written else f"{node.namespace}/{written}")
    except InvalidFeatureRef:
        return None  # a soft edge to nothing that could be queued


def _rounds(nodes: Sequence[_Node]) -> list[_Node]:
    """What becomes ready by a round waits for the next one, and one node of high priority holds
    all lower ones back: both are the reference's behaviour."""
    installed: dict[Identity, _Node] = {}
    left = list(nodes)
    while left:
        ready = [node for node in left if node.is_ready(installed.keys())]
        if not ready:
            names = ", ".join(sorted(str(node.ref) for node in left))
            raise FeatureCycle(
                f"these features wait for each other: {names}", extra={"path": left[0].path}
            )
        highest = max(node.priority for node in ready)
        chosen = [node for node in ready if node.priority == highest]
        # Presorted, because ids with common aliases make the comparison not quite transitive.
        chosen.sort(key=lambda node: (str(node.ref), node.identity))
        chosen.sort(key=cmp_to_key(_compare))
        installed |= {node.identity: node for node in chosen}
        left = [node for node in left if node.identity not in installed]
    return list(installed.values())


def _compare(left: _Node, right: _Node) -> int:
    same_id = not left.ids.isdisjoint(right.ids)
    return (
        compare_texts(left.namespace, right.namespace)
        or (0 if same_id else compare_texts(left.ref.id, right.ref.id))
        or compare_texts(left.ref.tag or left.ref.digest, right.ref.tag or right.ref.digest)
        or compare_options(left.request.options, right.request.options)
        or compare_texts(left.identity[0], right.identity[0])
    )


def _namespace(ref: FeatureRef) -> str:
    return ref.resource.rpartition("/")[0]


def _ids(own: str, metadata: FeatureMetadata) -> frozenset[str]:
    names = {own, *metadata.legacy_ids, metadata.current_id}
    return frozenset(name.lower() for name in names if name)
