"""What is in `deploy/` fits together: manifests, the image that they name, units."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import tulle
from tulle.controlplane.mesh.load import load_mesh, read_part
from tulle.proxy.commands import make_parser
from tulle.proxy.injection.injector import inject, uninject
from tulle.proxy.injection.settings import USER, Settings

DEPLOY = Path(__file__).parents[1] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def manifests() -> list[dict[str, Any]]:
    return [
        document for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
    ]  # fmt: skip


def containers() -> list[dict[str, Any]]:
    found = []
    for manifest in manifests():
        spec = manifest.get("spec", {}).get("template", {}).get("spec", {})
        found += spec.get("initContainers", []) + spec.get("containers", [])
    return found


def test_manifests_are_whole_and_refer_to_each_other() -> None:
    found = {(one["kind"], one["metadata"]["name"]) for one in manifests()}
    assert len(found) == len(manifests())
    assert all(one["apiVersion"] for one in manifests())
    (deployment,) = [one for one in manifests() if one["kind"] == "Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    assert ("ServiceAccount", spec["serviceAccountName"]) in found
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert ("ConfigMap", volumes["mesh"]["configMap"]["name"]) in found
    assert {mount["name"] for one in containers() for mount in one["volumeMounts"]} == volumes.keys()
    for one in manifests():
        if one["kind"] in ("Service", "PodDisruptionBudget"):
            selector = one["spec"]["selector"]
            assert selector.get("matchLabels", selector).items() <= labels
        if one["kind"] == "ConfigMap":
            assert all(yaml.safe_load(text) for text in one["data"].values())


def test_all_say_the_same_image_and_user() -> None:
    image = f"tulle:{tulle.__version__}"
    assert {one["image"] for one in containers()} == {image} == {Settings().image}
    assert f"--tag {image}" in DOCKERFILE or f"-t {image}" in DOCKERFILE
    assert f"--uid {USER}" in DOCKERFILE
    assert f"USER {USER}:{USER}" in DOCKERFILE
    for one in containers():
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_example_is_a_mesh_whose_pods_are_injected() -> None:
    example = DEPLOY / "kubernetes" / "example"
    mesh = load_mesh([read_part(example / "mesh.yaml")]).mesh
    text = (example / "shop.yaml").read_text()
    injected, notes = inject(text, "shop.yaml", Settings(control=("tulle-control.tulle-system:15010",)))
    deployments = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in yaml.safe_load_all(injected)
        if one["kind"] == "Deployment"
    }
    assert deployments.keys() == mesh.services.keys()
    for name, spec in deployments.items():
        service = mesh.services[name]
        assert service.identity == f"/ns/shop/sa/{spec['serviceAccountName']}"
        assert spec["containers"][0]["ports"] == [{"containerPort": service.port}]
        assert any(f"tulle token {service.identity})" in note for note in notes)
    assert uninject(injected, "shop.yaml")[0] == text


def test_the_image_has_what_is_copied_into_it() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for line in ignored:
        if line.startswith("!"):
            assert (DEPLOY.parent / line[1:]).exists(), line
    assert [line.split()[0] for line in DOCKERFILE.splitlines() if line[:4] == "FROM"] == ["FROM", "FROM"]
    instructions = {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
    joined = re.sub(r"\\\n", " ", DOCKERFILE)
    assert {line.split()[0] for line in joined.splitlines() if line and line[0] != "#"} <= instructions


@pytest.mark.parametrize("unit", UNITS, ids=[unit.name for unit in UNITS])
def test_a_unit_is_one_for_systemd(unit: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed here, so the units were NOT VERIFIED by it")
    done = subprocess.run(
        [analyze, "verify", "--man=no", *map(str, UNITS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert said == []


@pytest.mark.parametrize("unit", UNITS, ids=[unit.name for unit in UNITS])
def test_the_commands_of_a_unit_are_ours(unit: Path) -> None:
    commands = re.findall(r"^Exec\w+=/usr/bin/env tulle (.*)$", unit.read_text(), re.MULTILINE)
    assert commands
    for command in commands:
        make_parser().parse_args(command.replace("$MAINPID", "1").split())
