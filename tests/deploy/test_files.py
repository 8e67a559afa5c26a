"""What is in `deploy/` is right by its own linters and schemas, and its parts agree with each other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.deploy.files import (
    DEPLOY,
    DOCKERFILE,
    KILL_GRACE,
    ROOT,
    SCRIPTS,
    UNIT,
    compose,
    configurations,
    instructions,
    last,
    manifest,
    run,
    seconds,
    shell_form,
    unit,
    yaml_text,
)

CONFIGURED = configurations()
OFFLINE = {**os.environ, **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")}
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HEADGATE_ADMIN_TOKEN": "token-of-the-tests",
    "HEADGATE_LEDGER_URL": "postgresql://headgate:word@postgres/headgate",
    "POSTGRES_PASSWORD": "0123abcd",
    "OPENAI_API_KEY": "sk-of-the-tests",
}
EXPOSURE = 20
"""Tenths of what `systemd-analyze security` may count; 10.0 is a service without any protection."""
REPLICAS = ("headgate-1", "headgate-2")


def drain_timeout(way: str) -> int:
    return seconds(yaml_text(CONFIGURED[way])["server"]["drain_timeout"])


@pytest.mark.parametrize("way", CONFIGURED)
def test_each_configuration_has_no_problems(way: str, tmp_path: Path) -> None:
    file = tmp_path / "headgate.yaml"
    file.write_text(CONFIGURED[way])
    said = run(SCRIPTS / "headgate", "check", "--config", file, cwd=tmp_path, env=ENVIRONMENT)
    assert "no problems" in said
    assert "admin plane is closed" not in said


@pytest.mark.parametrize("way", CONFIGURED)
def test_a_configuration_with_a_variable_that_is_not_set_is_refused_by_its_name(way: str, tmp_path: Path) -> None:
    file = tmp_path / "headgate.yaml"
    file.write_text(CONFIGURED[way])
    env = {name: value for name, value in ENVIRONMENT.items() if name != "OPENAI_API_KEY"}
    command: list[str | Path] = [SCRIPTS / "headgate", "serve", "--config", file]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr
    assert "sk-of" not in done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit_and_finds_it_well_guarded(tmp_path: Path) -> None:
    # It looks whether the program is there, which is not so on a machine without /opt/headgate.
    here = tmp_path / "headgate.service"
    here.write_text(UNIT.read_text().replace("/opt/headgate/bin/headgate", str(SCRIPTS / "headgate")))
    assert run("systemd-analyze", "verify", "--man=no", here) == ""
    said = run("systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE}", "--no-pager", here)
    assert "Overall exposure level" in said


def test_the_unit_stops_headgate_as_it_wants_to_be_stopped() -> None:
    assert seconds(unit("TimeoutStopSec")[0]) > drain_timeout("systemd") + KILL_GRACE
    assert unit("KillMode") == ["mixed"]
    assert unit("ExecReload") == ["/bin/kill -HUP $MAINPID"]


def test_the_unit_and_its_configuration_agree_on_paths() -> None:
    [state] = unit("StateDirectory")
    config = yaml_text(CONFIGURED["systemd"])
    assert config["ledger"]["url"].startswith(f"sqlite:////var/lib/{state}/")
    assert config["ledger"]["state_dir"].startswith(f"/var/lib/{state}/")
    assert "--config /etc/headgate/headgate.yaml" in unit("ExecStart")[0]
    users = (DEPLOY / "systemd/headgate.sysusers").read_text()
    assert re.search(rf"^u {unit('User')[0]} - .* /var/lib/{state}$", users, re.MULTILINE)


@pytest.mark.skipif(not (SCRIPTS / "hadolint").exists(), reason="hadolint is not installed")
def test_the_dockerfile_has_no_faults_for_its_linter() -> None:
    assert run(SCRIPTS / "hadolint", "--no-color", DOCKERFILE) == ""


def test_the_image_needs_nothing_that_its_context_leaves_out() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    copied = [word for rest in (rest for word, rest in instructions() if word == "COPY") for word in rest.split()[:-1]]
    assert allowed == {word for word in copied if not word.startswith(("--from", "/opt"))}
    assert all((ROOT / path).exists() for path in allowed)


def test_what_builds_the_image_is_locked_as_the_tests_are() -> None:
    locked = (ROOT / "requirements/test.lock").read_text()
    ours = re.split(r"^(?=\S)", (ROOT / "requirements/build.lock").read_text(), flags=re.MULTILINE)[1:]
    assert any(entry.startswith("hatchling==") for entry in ours)
    for entry in ours:
        assert entry in locked, f"run make lock: {entry[:40]}"


def test_the_image_runs_headgate_as_nobody_in_particular() -> None:
    assert last("USER") == "10001:10001"
    assert shell_form(last("ENTRYPOINT")) == ["headgate"]
    assert shell_form(last("CMD"))[:3] == ["serve", "--config", "/etc/headgate/headgate.yaml"]
    assert last("STOPSIGNAL") == "SIGTERM"
    server = yaml_text(CONFIGURED["docker"])["server"]
    assert last("EXPOSE").split() == [str(server.get("port", 4141)), str(server.get("admin_port", 4142))]


def test_the_compose_file_is_one() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    assert "ok" in run(SCRIPTS / "check-jsonschema", *schema, DEPLOY / "docker/compose.yaml", env=OFFLINE)


def test_every_replica_of_the_compose_file_is_guarded_and_has_its_own_lock_directory() -> None:
    services = compose()["services"]
    state = yaml_text(CONFIGURED["docker"])["ledger"]["state_dir"]
    own = set()
    for name in REPLICAS:
        service = services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert seconds(service["stop_grace_period"]) > drain_timeout("docker") + KILL_GRACE
        assert "./config:/etc/headgate:ro" in service["volumes"]
        [volume] = [volume for volume in service["volumes"] if state.startswith(volume.partition(":")[2])]
        own.add(volume)
    assert len(own) == len(REPLICAS)
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert "postgres" not in {name for name in services if "outside" in services[name]["networks"]}


def test_the_front_of_the_compose_file_knows_every_replica() -> None:
    front = (DEPLOY / "docker/nginx.conf").read_text()
    port = yaml_text(CONFIGURED["docker"])["server"].get("port", 4141)
    assert re.findall(r"^ *server (\S+) resolve", front, re.MULTILINE) == [f"{name}:{port}" for name in REPLICAS]


def test_every_secret_that_the_compose_file_wants_is_in_its_example() -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "docker/compose.yaml").read_text()))
    example = (DEPLOY / "docker/.env.example").read_text()
    assert wanted == set(re.findall(r"^(\w+)=$", example, re.MULTILINE))
    assert set(re.findall(r"\$\{(\w+)\}", CONFIGURED["docker"])) <= wanted


def test_the_manifests_are_what_kubernetes_takes() -> None:
    files = [path for path in sorted(DEPLOY.glob("kubernetes/*.yaml")) if path.name != "kustomization.yaml"]
    said = run(SCRIPTS / "kubernetes-validate", "--strict", *files, env=OFFLINE)
    assert said.count(" passed ") == len(files) == 6
    named = {path.name for path in files} - {"secret.example.yaml"}
    assert set(manifest("kustomization")["resources"]) == named


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_puts_the_manifests_together() -> None:
    said = run("kubectl", "kustomize", DEPLOY / "kubernetes", env=OFFLINE)
    image = manifest("kustomization")["images"][0]
    assert f"image: {image['newName']}:{image['newTag']}" in said


def test_the_manifests_agree_with_the_image_and_with_each_other() -> None:
    pod = manifest("deployment")["spec"]["template"]
    [container] = pod["spec"]["containers"]
    user, _, group = last("USER").partition(":")
    security = pod["spec"]["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == (int(user), int(group))
    assert [str(port["containerPort"]) for port in container["ports"]] == last("EXPOSE").split()
    assert container["args"] == shell_form(last("CMD"))
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert "subPath" not in mounts["/etc/headgate"], "a mounted file never changes, a mounted folder does"
    assert yaml_text(CONFIGURED["kubernetes"])["ledger"]["state_dir"].startswith("/var/lib/headgate/")
    assert "/var/lib/headgate" in mounts
    labels = pod["metadata"]["labels"]
    assert manifest("service")["spec"]["selector"] == labels
    assert manifest("poddisruptionbudget")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("networkpolicy")["spec"]["podSelector"]["matchLabels"] == labels
    [source] = container["envFrom"]
    secret = manifest("secret.example")
    assert source["secretRef"]["name"] == secret["metadata"]["name"]
    assert set(re.findall(r"\$\{(\w+)\}", CONFIGURED["kubernetes"])) <= set(secret["stringData"])


def test_a_pod_has_time_to_drain_and_is_not_restarted_because_its_ledger_is_away() -> None:
    pod = manifest("deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    before = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > before + drain_timeout("kubernetes") + KILL_GRACE
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_no_service_can_set_a_variable_of_headgate() -> None:
    assert manifest("deployment")["spec"]["template"]["spec"]["enableServiceLinks"] is False
