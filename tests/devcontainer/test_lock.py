"""devcontainer-lock.json: written as the reference does, read strictly, and insisted on."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from crewship.devcontainer.config import read_crew
from crewship.devcontainer.hashing import config_hash
from crewship.devcontainer.lock import Pins, lock_text
from crewship.devcontainer.refs import parse_feature_ref
from crewship.devcontainer.types import CrewSpec, FeatureRef, Json, LockedFeature, ResolvedFeature
from crewship.domain.errors import ConfigInvalid, DigestMismatch, FeatureNotFound, LockMismatch
from tests.devcontainer.examples import OURS, POLICY, resolved

NODE = f"{OURS}/node:1"
A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def entry(name: str, digest: str = A, **more: Json) -> Json:
    return {
        "version": "1.2.3",
        "resolved": f"{OURS}/{name}@{digest}",
        "integrity": digest,
        **more,
    }


def read(lock: Json, *features: str) -> CrewSpec:
    config = json.dumps({"features": {ref: {} for ref in features or (NODE,)}})
    text = lock if isinstance(lock, str) else json.dumps(lock)
    return read_crew(config, None, None, POLICY, text)


def of(**entries: Json) -> Json:
    return {"features": {f"{OURS}/{name}:1": value for name, value in entries.items()}}


def problems(lock: Json, *features: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigInvalid) as caught:
        read(lock, *features)
    return [(p.path, p.code) for p in caught.value.problems]


class Registry:
    """References to what they name now; whatever is asked for is remembered."""

    def __init__(self, *names: str) -> None:
        self.there: dict[FeatureRef, ResolvedFeature] = {}
        self.asked: list[FeatureRef] = []
        for name in names:
            self.publish(name)

    def publish(self, name: str) -> ResolvedFeature:
        found = resolved(name)
        self.there[found.ref] = found
        pinned = parse_feature_ref(f"{found.ref.resource}@{found.identity}")
        self.there[pinned] = found
        return found

    def resolve(self, ref: FeatureRef) -> ResolvedFeature:
        self.asked.append(ref)
        if ref not in self.there:
            raise FeatureNotFound(f"there is no feature {ref}")
        return self.there[ref]


def pins(**locked: str) -> Pins:
    return Pins([LockedFeature(parse_feature_ref(f"{OURS}/{n}:1"), d) for n, d in locked.items()])


def test_the_file_has_the_references_shape_and_order() -> None:
    text = lock_text(
        [
            {"ref": NODE, "resolved": f"{OURS}/node@{B}", "version": "1.6.3", "depends_on": ["x"]},
            {"ref": f"{OURS}/git", "resolved": f"{OURS}/git@{A}", "version": "2", "options": []},
        ]
    )
    value = json.loads(text)
    assert list(value["features"]) == [f"{OURS}/git", NODE]
    assert value["features"][f"{OURS}/git"] == {
        "version": "2",
        "resolved": f"{OURS}/git@{A}",
        "integrity": A,
    }
    assert value["features"][NODE]["dependsOn"] == ["x"]
    assert text.startswith('{\n  "features": {\n    "')


def test_what_is_written_can_be_read() -> None:
    text = lock_text([{"ref": NODE, "resolved": f"{OURS}/node@{A}", "version": "1"}])
    assert read(text).lock == (LockedFeature(parse_feature_ref(NODE), A),)


@pytest.mark.parametrize("text", ["{}", '{"features": {}}', '{"features": null}'])
def test_an_empty_lock_locks_nothing(text: str) -> None:
    assert read(text).lock == ()


def test_comments_are_fine() -> None:
    assert read('// from CI\n{"features": {},}').lock == ()


@pytest.mark.parametrize(
    ("value", "path", "code"),
    [
        (entry("node", integrity=B), ".integrity", "lock_integrity"),
        (entry("other"), ".resolved", "lock_resource"),
        ({**entry("node"), "resolved": f"evil.example/x/node@{A}"}, ".resolved", "lock_resource"),
        ({**entry("node"), "resolved": f"{OURS}/node:1"}, ".resolved", "lock_invalid"),
        ({**entry("node"), "resolved": "https://x/y.tgz"}, ".resolved", "lock_invalid"),
        ({**entry("node"), "resolved": 1}, ".resolved", "wrong_type"),
        ({"resolved": f"{OURS}/node@{A}"}, ".integrity", "wrong_type"),
        (entry("node", dependsOn="x"), ".dependsOn", "wrong_type"),
        (entry("node", dependsOn=[1]), ".dependsOn", "wrong_type"),
        ("latest", "", "wrong_type"),
    ],
)
def test_a_bad_entry_is_named_by_its_path(value: Json, path: str, code: str) -> None:
    assert problems(of(node=value)) == [(f"lock_config.features.{NODE}{path}", code)]


def test_an_entry_that_nothing_needs_is_checked_too() -> None:
    assert [code for _, code in problems(of(gone=entry("node")))] == ["lock_resource"]


def test_all_bad_entries_are_named_at_once() -> None:
    assert len(problems(of(a=entry("b"), node=entry("node", integrity=B)))) == 2


def test_a_name_with_a_digest_must_be_its_own() -> None:
    lock = {"features": {f"{OURS}/node@{B}": entry("node")}}
    assert [code for _, code in problems(lock)] == ["lock_integrity"]


def test_two_spellings_of_one_reference_must_agree() -> None:
    lock = {"features": {f"{OURS}/node": entry("node"), f"{OURS}/node:latest": entry("node", B)}}
    assert [code for _, code in problems(lock)] == ["lock_invalid"]


@pytest.mark.parametrize(
    ("text", "path", "code"),
    [
        ("", "", "syntax"),
        ("{", "", "syntax"),
        ("[]", "", "wrong_type"),
        (json.dumps({"a": "x" * 102400}), "", "too_large"),
        ('{"features": []}', ".features", "wrong_type"),
    ],
)
def test_a_broken_text_is_refused(text: str, path: str, code: str) -> None:
    assert problems(text) == [(f"lock_config{path}", code)]


def test_a_key_twice_is_refused_with_its_path() -> None:
    assert problems('{"features": {"a": 1, "a": 2}}') == [
        ("lock_config.features.a", "duplicate_key")
    ]


def test_entries_that_nothing_needs_are_warned_about_and_left_out() -> None:
    lock = of(node=entry("node"), old=entry("old"))
    lock["features"]["https://x.example/f.tgz"] = {"resolved": "…"}
    spec = read(lock)
    assert [item.ref.id for item in spec.lock] == ["node"]
    assert [w.code for w in spec.warnings] == ["lock_unused", "lock_unused"]


def test_dependencies_are_locked_along_the_locks_own_dependson() -> None:
    deep = {
        f"{OURS}/lib:1": entry("lib", B, dependsOn=[NODE]),
        **of(node=entry("node"))["features"],
    }
    app = {f"{OURS}/app:1": entry("app", dependsOn=[f"{OURS}/lib:1"])}
    spec = read({"features": {**deep, **app}}, f"{OURS}/app:1")
    assert [item.ref.id for item in spec.lock] == ["app", "lib", "node"]
    assert read({"features": deep}, f"{OURS}/app:1").lock == ()


def test_the_lock_is_part_of_the_hash() -> None:
    free, one, other = read("{}"), read(of(node=entry("node"))), read(of(node=entry("node", B)))
    assert len({config_hash(spec) for spec in (free, one, other)}) == 3


@pytest.mark.parametrize(
    "lock",
    [
        of(old=entry("old"), node=entry("node")),
        of(node={**entry("node"), "version": "9"}),
        json.dumps(of(node=entry("node")), indent=4) + "// c",
        {"features": {f"{OURS}/NODE:1": {**entry("node"), "integrity": A.upper()}}},
    ],
)
def test_only_the_used_digests_are_in_the_hash(lock: Json) -> None:
    assert config_hash(read(lock)) == config_hash(read(of(node=entry("node"))))


def test_a_lock_that_repeats_a_pinned_reference_says_nothing_new() -> None:
    ref = f"{OURS}/node@{A}"
    assert config_hash(read({"features": {ref: entry("node")}}, ref)) == config_hash(
        read("{}", ref)
    )


def test_a_locked_reference_resolves_by_its_digest() -> None:
    registry = Registry("node:1")
    digest = registry.there[parse_feature_ref(NODE)].identity
    found = pins(node=digest).resolver(registry.resolve)(parse_feature_ref(NODE))
    assert found is not None
    assert (str(found.ref), found.identity) == (NODE, digest)
    assert registry.asked == [parse_feature_ref(f"{OURS}/node@{digest}")]


def test_other_references_resolve_as_ever() -> None:
    registry = Registry("git:1")
    ref = parse_feature_ref(f"{OURS}/git:1")
    assert pins(node=A).resolver(registry.resolve)(ref) == registry.there[ref]


def test_a_digest_that_is_not_there_names_feature_and_both_digests() -> None:
    registry = Registry("node:1")
    now = registry.there[parse_feature_ref(NODE)].identity
    with pytest.raises(LockMismatch) as caught:
        pins(node=A).resolver(registry.resolve)(parse_feature_ref(NODE))
    for part in (NODE, A, now):
        assert part in caught.value.message
    assert caught.value.extra == {"feature": NODE, "locked": A, "found": now}


def test_a_tag_that_is_gone_too_is_said() -> None:
    with pytest.raises(LockMismatch, match="the tag is gone, too"):
        pins(node=A).resolver(Registry().resolve)(parse_feature_ref(NODE))


def _lies(ref: FeatureRef) -> ResolvedFeature:
    if ref.digest:
        raise DigestMismatch("other bytes")
    return resolved("node:1")


@pytest.mark.parametrize("resolve", [_lies, lambda _ref: resolved("node:1")])
def test_other_content_under_the_digest_is_a_mismatch(
    resolve: Callable[[FeatureRef], ResolvedFeature],
) -> None:
    with pytest.raises(LockMismatch, match=resolved("node:1").identity):
        pins(node=A).resolver(resolve)(parse_feature_ref(NODE))


def test_prefetch_asks_for_digests_and_leaves_blame_to_the_resolver() -> None:
    asked: list[str] = []

    def prefetch(refs: object) -> None:
        assert isinstance(refs, list)
        asked.extend(map(str, refs))
        raise FeatureNotFound("one of them")

    pins(node=A).prefetcher(prefetch)([parse_feature_ref(NODE), parse_feature_ref(f"{OURS}/b")])
    assert asked == [f"{OURS}/b:latest", f"{OURS}/node@{A}"]


def test_prefetch_without_locked_features_fails_as_ever() -> None:
    def prefetch(refs: object) -> None:
        raise FeatureNotFound("it")

    with pytest.raises(FeatureNotFound):
        pins(node=A).prefetcher(prefetch)([parse_feature_ref(f"{OURS}/b")])
