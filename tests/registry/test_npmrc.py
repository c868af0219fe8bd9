from __future__ import annotations

from pathlib import Path

from crewship.registry.npmrc import npm_settings


def test_without_any_setting_it_is_npms_own_registry(tmp_path: Path) -> None:
    settings = npm_settings({}, tmp_path, ())
    assert (settings.registry, settings.ca_bundle) == ("https://registry.npmjs.org", None)


def test_the_environment_wins_over_files(tmp_path: Path) -> None:
    (tmp_path / ".npmrc").write_text("registry=https://user.example/\n")
    found = npm_settings({"npm_config_registry": "https://env.example/npm/"}, tmp_path, ())
    assert found.registry == "https://env.example/npm"


def test_the_users_file_wins_over_the_systems(tmp_path: Path) -> None:
    system = tmp_path / "npmrc"
    system.write_text(f"registry=https://system.example/\ncafile={system}\n")
    (tmp_path / ".npmrc").write_text("; mine\n@acme:registry=https://x/\nregistry = ${URL}/r\n")
    found = npm_settings({"URL": "https://user.example"}, tmp_path, (system,))
    assert (found.registry, found.ca_bundle) == ("https://user.example/r", system)


def test_the_first_system_file_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text("registry=https://first.example\n")
    second.write_text("registry=https://second.example\n")
    assert npm_settings({}, tmp_path, (first, second)).registry == "https://first.example"


def test_a_bundle_that_is_not_there_is_passed_over(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    environ = {"npm_config_cafile": "/no/such/file", "SSL_CERT_FILE": str(bundle)}
    assert npm_settings(environ, tmp_path, ()).ca_bundle == bundle
