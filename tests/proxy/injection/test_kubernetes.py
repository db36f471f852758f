"""Manifests get their sidecars and lose them again; what is not concerned stays as it was written."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from tests.proxy.injection import manifests
from tulle.controlplane.load import Document, load_document
from tulle.controlplane.model import Config
from tulle.proxy.failure import Failure
from tulle.proxy.injection.injector import inject, uninject
from tulle.proxy.injection.settings import CONFIG, STATUS, Settings

ORDINARY = Settings(sidecar="ordinary")


def injected(text: str, settings: Settings = Settings()) -> str:  # noqa: B008
    return inject(text, "test", settings)[0]


def restored(text: str) -> str:
    return uninject(text, "test")[0]


def templates(text: str) -> list[dict[str, Any]]:
    """The pods of a text, and templates of them, as they are read."""
    text = text.replace("\t", " ") if text.startswith("{") else text
    return [pod for document in yaml.safe_load_all(text) for pod in _templates(document)]


def _templates(value: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(value, dict) or value.get("kind") == "Custom":
        return
    if value.get("kind") == "List":
        for item in value["items"]:
            yield from _templates(item)
    elif value.get("kind") == "Pod" or "containers" in value.get("spec", {}):
        yield value
    elif "spec" in value and isinstance(value["spec"], dict):
        for key in ("template", "jobTemplate"):
            yield from _templates(value["spec"].get(key))


@pytest.mark.parametrize("name", manifests.ALL)
def test_what_was_injected_is_taken_out_byte_by_byte(name: str) -> None:
    text = manifests.ALL[name]
    assert injected(text) != text
    assert restored(injected(text)) == text
    assert restored(text) == text


@pytest.mark.parametrize("name", manifests.ALL)
def test_a_second_time_changes_nothing_and_other_options_begin_anew(name: str) -> None:
    text = manifests.ALL[name]
    once = injected(text)
    assert injected(once) == once
    assert injected(injected(text, Settings(image="other:1")), Settings()) == once


@pytest.mark.parametrize("name", manifests.ALL)
def test_lines_of_the_original_are_all_there_in_their_order(name: str) -> None:
    text = manifests.ALL[name]
    settings = Settings(rewrite_probes=False)
    there = iter(injected(text, settings).splitlines())
    if name != "json in a line":
        missing = [line for line in text.splitlines() if not any(line == other for other in there)]
        changed = (
            "annotations: {}",
            "initContainers: []",
            '"volumes": []',
            "containers: [{",
            "metadata: {lab",
        )
        assert [line for line in missing[:1] if not any(part in line for part in changed)] == []


@pytest.mark.parametrize("name", manifests.ALL)
def test_every_pod_has_a_sidecar_and_all_that_it_had(name: str) -> None:
    before, after = templates(manifests.ALL[name]), templates(injected(manifests.ALL[name]))
    assert len(before) == len(after) > 0
    for old, new in zip(before, after, strict=True):
        setup, sidecar, *others = new["spec"]["initContainers"]
        assert (setup["name"], sidecar["name"]) == ("tulle-redirect", "tulle")
        assert sidecar["restartPolicy"] == "Always"
        assert sidecar["securityContext"]["runAsUser"] == 1337
        assert setup["args"][:3] == ["redirect", "--user", "1337"]
        assert others == (old["spec"].get("initContainers") or [])
        assert [one["name"] for one in new["spec"]["containers"]] == [
            one["name"] for one in old["spec"]["containers"]
        ]
        volumes = {volume["name"] for volume in new["spec"]["volumes"]}
        assert {mount["name"] for mount in sidecar["volumeMounts"]} <= volumes
        annotations = new["metadata"]["annotations"]
        old_annotations = (old.get("metadata") or {}).get("annotations") or {}
        assert {key: annotations[key] for key in old_annotations} == old_annotations
        assert all(isinstance(value, str) for value in annotations.values())


@pytest.mark.parametrize("name", manifests.ALL)
def test_a_manifest_that_was_written_anew_loses_its_sidecars_too(name: str) -> None:
    """As `kubectl get -o yaml` does: other order, style and indentation, no comments."""
    text = manifests.ALL[name]
    documents = list(yaml.safe_load_all(injected(text).replace("\t", " ")))
    for form in (
        yaml.safe_dump_all(documents),
        yaml.safe_dump_all(documents, indent=4, default_flow_style=None),
        yaml.safe_dump_all(documents, default_flow_style=True),
    ):
        back = list(yaml.safe_load_all(restored(form)))
        wanted = list(yaml.safe_load_all(text.replace("\t", " ")))
        assert _without_empty(back) == _without_empty(wanted)


def _without_empty(value: Any) -> Any:
    """An empty list that was empty before may be missing after."""
    if isinstance(value, dict):
        return {key: _without_empty(item) for key, item in value.items() if item not in (None, {}, [])}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


# -- probes -----------------------------------------------------------------------------------------------


def test_probes_go_to_the_sidecar_and_their_targets_into_its_configuration() -> None:
    template = templates(injected(manifests.DEPLOYMENT))[0]
    web = template["spec"]["containers"][0]
    assert web["startupProbe"] == {
        "httpGet": {"path": "/tulle/probes/web/startupProbe?port=8080", "port": 15021},
        "failureThreshold": 30,
    }
    assert web["readinessProbe"]["httpGet"] == {
        "path": "/tulle/probes/web/readinessProbe?verbose=1",
        "port": 15021,
        "httpHeaders": [{"name": "X-Probe", "value": "kubelet"}],
    }
    assert web["lifecycle"]["preStop"]["httpGet"]["path"] == "/tulle/probes/web/preStop"
    config = yaml.safe_load(template["metadata"]["annotations"][CONFIG])
    routes = {route["matches"][0]["path"]["exact"]: route for route in config["routes"]["tulle-probes"]}
    route = routes["/tulle/probes/web/readinessProbe"]
    assert route["rewrite"] == {"path": {"replace_full": "/ready"}}
    assert config["clusters"][route["backends"][0]["cluster"]]["endpoints"] == [{"address": "127.0.0.1:8080"}]
    assert routes["/tulle/probes/web/startupProbe"]["backends"] == [{"cluster": "tulle-admin"}]


def test_probes_of_grpc_get_a_port_for_each_of_the_applications() -> None:
    pod = """\
kind: Pod
metadata: {name: grpc}
spec:
  containers:
  - name: a
    livenessProbe: {grpc: {port: 9000}}
    readinessProbe: {grpc: {port: 9000, service: shop}}
  - name: b
    livenessProbe: {grpc: {port: 9001}}
"""
    template = templates(injected(pod))[0]
    a, b = template["spec"]["containers"]
    assert a["readinessProbe"] == {"grpc": {"port": 15021, "service": "shop"}}
    assert a["livenessProbe"] == {"grpc": {"port": 15021}}
    assert b["livenessProbe"] == {"grpc": {"port": 15022}}
    setup = template["spec"]["initContainers"][0]["args"]
    assert setup[3:] == ["--exclude-inbound-port", "15021", "--exclude-inbound-port", "15022"]
    config = yaml.safe_load(template["metadata"]["annotations"][CONFIG])
    assert {"0.0.0.0:15021", "0.0.0.0:15022"} <= {one["address"] for one in config["listeners"]}


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        ("httpGet: {port: http, path: /}", "'http' is not among the ports"),
        ("httpGet: {port: 80, host: other}", "another host"),
        ("httpGet: {port: 443, scheme: HTTPS}", "HTTPS"),
    ],
)
def test_a_probe_that_cannot_be_led_is_left_and_named(handler: str, reason: str) -> None:
    pod = "kind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    livenessProbe:\n      "
    text = f"{pod}{handler}\n"
    after, notes = inject(text, "a.yaml", Settings())
    assert handler in after
    assert any("a.yaml: Pod a: a/livenessProbe stays" in note and reason in note for note in notes)


# -- choices ----------------------------------------------------------------------------------------------


def test_an_ordinary_sidecar_is_the_first_container_and_holds_the_others() -> None:
    text = injected(manifests.DEPLOYMENT, ORDINARY)
    spec = templates(text)[0]["spec"]
    assert [one["name"] for one in spec["containers"]] == ["tulle", "web"]
    assert [one["name"] for one in spec["initContainers"]] == ["tulle-redirect", "migrate"]
    assert "tulle" in spec["containers"][0]["lifecycle"]["postStart"]["exec"]["command"]
    annotations = templates(text)[0]["metadata"]["annotations"]
    assert annotations["kubectl.kubernetes.io/default-container"] == "web"
    assert restored(text) == manifests.DEPLOYMENT
    assert injected(text) == injected(manifests.DEPLOYMENT)


def test_a_job_with_an_ordinary_sidecar_is_refused() -> None:
    with pytest.raises(Failure, match=r"Job import-: a Job is not done before .* use --sidecar native"):
        injected(manifests.JOB, ORDINARY)


@pytest.mark.parametrize("value", ['"false"', "disabled"])
def test_a_pod_may_opt_out(value: str) -> None:
    text = manifests.DEPLOYMENT.replace("# scraped every 15 s", f"tulle.mesh/inject: {value}")
    after, notes = inject(text, "web.yaml", Settings())
    assert after == text
    assert notes == ["web.yaml: Deployment web: left alone, since its annotation tulle.mesh/inject says so"]


def test_a_pod_on_the_network_of_its_node_is_left_alone() -> None:
    text = manifests.DEPLOYMENT.replace("serviceAccountName: web", "hostNetwork: true")
    assert injected(text) == text


def test_annotations_say_otherwise_than_options() -> None:
    text = manifests.DEPLOYMENT.replace(
        "# scraped every 15 s",
        "tulle.mesh/image: mine:2\n        tulle.mesh/exclude-outbound-ports: '5432, 6379'\n"
        "        tulle.mesh/exclude-outbound-ranges: 10.0.0.0/8\n        tulle.mesh/rewrite-probes: 'false'",
    )
    spec = templates(injected(text))[0]["spec"]
    assert spec["initContainers"][1]["image"] == "mine:2"
    assert spec["initContainers"][0]["args"][5:] == [
        "--exclude-outbound-port", "5432", "--exclude-outbound-port", "6379",
        "--exclude-outbound-range", "10.0.0.0/8",
    ]  # fmt: skip
    assert spec["containers"][0]["livenessProbe"] == {"httpGet": {"path": "/live", "port": 8080}}


def test_without_redirection_there_is_no_set_up_step() -> None:
    spec = templates(injected(manifests.DEPLOYMENT, Settings(redirect=False)))[0]["spec"]
    assert [one["name"] for one in spec["initContainers"]] == ["tulle", "migrate"]


def test_a_configuration_of_ones_own_gets_what_the_probes_need() -> None:
    own = {"listeners": [{"name": "in", "address": "0.0.0.0:15006"}], "admin": {"address": "127.0.0.1:9"}}
    template = templates(injected(manifests.DEPLOYMENT, Settings(config=own)))[0]
    config = yaml.safe_load(template["metadata"]["annotations"][CONFIG])
    assert config["listeners"][0] == own["listeners"][0]
    assert config["clusters"]["tulle-admin"]["endpoints"] == [{"address": "127.0.0.1:9"}]


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kind: Pod\n\tspec: 1\n", "line 2"),
        ("kind: Pod\nmetadata: {name: a}\nspec: {}\n", "Pod a: has no containers"),
        ("kind: Pod\nspec: {containers: [{name: tulle}]}\n", "has 'tulle' already"),
        ("kind: Pod\nspec: {volumes: [{name: tulle-run}], containers: [{}]}\n", "has 'tulle-run' already"),
        (
            "kind: Pod\nmetadata: {annotations: {tulle.mesh/inject: perhaps}}\nspec: {containers: [{}]}\n",
            'write "true" or "false"',
        ),
        (
            "kind: Pod\nmetadata: {annotations: {tulle.mesh/exclude-inbound-ports: 1x}}\n"
            "spec: {containers: [{name: a}]}\n",
            "'1x' is not a port",
        ),
        (
            "kind: Pod\nmetadata: {annotations: {tulle.mesh/status: '{}'}}\nspec: {containers: [{}]}\n",
            "was changed and cannot be read",
        ),
        (
            "kind: Deployment\nspec:\n  template:\n    spec: &s\n      containers: [{name: a}]\nother: *s\n",
            "shared by an alias",
        ),
        (
            "base: &b\n  containers: [{name: a}]\nkind: Pod\nspec:\n  <<: *b\n",
            "an alias or a merge key",
        ),
        ("kind: Pod\nspec: {{ .Values.spec }}\n", "line"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(Failure) as caught:
        inject(text, "bad.yaml", Settings())
    assert reason in str(caught.value)
    assert str(caught.value).startswith("bad.yaml")


def test_the_status_tells_what_was_added() -> None:
    status = templates(injected(manifests.INDENTLESS))[0]["metadata"]["annotations"][STATUS]
    assert '"created":["spec.initContainers","spec.volumes","metadata.annotations"]' in status


CONTROL = Settings(control=("tulle-control.tulle-system:15010",))


@pytest.mark.parametrize("name", manifests.ALL)
def test_with_a_control_plane_too_all_is_taken_out_byte_by_byte(name: str) -> None:
    text = manifests.ALL[name]
    assert restored(injected(text, CONTROL)) == text
    assert injected(injected(text, CONTROL), Settings()) == injected(text)


def test_a_sidecar_that_has_all_from_a_control_plane() -> None:
    (pod,) = templates(injected(manifests.DEPLOYMENT, CONTROL))
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["tulle-state"]["emptyDir"]["medium"] == "Memory"
    assert volumes["tulle-token"]["projected"]["sources"] == [{"secret": {"name": "tulle-join-web"}}]
    (sidecar,) = [one for one in pod["spec"]["initContainers"] if one["name"] == "tulle"]
    mounts = {mount["name"]: mount for mount in sidecar["volumeMounts"]}
    assert mounts["tulle-token"]["readOnly"]
    config = check_yaml(pod["metadata"]["annotations"][CONFIG])
    followed = config.control_plane
    assert followed is not None
    assert followed.addresses == ["tulle-control.tulle-system:15010"]
    assert followed.state_dir.startswith(mounts["tulle-state"]["mountPath"] + "/")
    assert followed.token_file == mounts["tulle-token"]["mountPath"]
    assert followed.original_destination
    assert {listener.name.removesuffix("-ipv6") for listener in config.listeners} == {"tulle-probes"}


def test_without_redirection_services_are_called_by_name() -> None:
    (pod,) = templates(injected(manifests.DEPLOYMENT, replace(CONTROL, redirect=False)))
    followed = check_yaml(pod["metadata"]["annotations"][CONFIG]).control_plane
    assert followed is not None
    assert (followed.original_destination, followed.outbound) == (False, "127.0.0.1:15001")


ACCOUNT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  template:
    metadata:
      annotations: {}
    spec:
      serviceAccountName: cart
      containers: [{name: cart, image: "cart:1"}]
"""


def test_who_it_is_comes_from_namespace_and_service_account() -> None:
    text, notes = inject(ACCOUNT, "cart.yaml", CONTROL)
    assert "name: tulle-join-cart" in text
    assert [
        note for note in notes if "tulle token /ns/shop/sa/cart" in note and "Secret tulle-join-cart" in note
    ]
    nowhere = inject(ACCOUNT.replace(", namespace: shop", ""), "cart.yaml", CONTROL)[1]
    assert any("/ns/default/sa/cart, if that is its namespace" in note for note in nowhere)


def test_an_annotation_names_another_secret() -> None:
    text = ACCOUNT.replace("annotations: {}", "annotations: {tulle.mesh/token-secret: mine}")
    (pod,) = templates(injected(text, CONTROL))
    (volume,) = [one for one in pod["spec"]["volumes"] if one["name"] == "tulle-token"]
    assert volume["projected"]["sources"][0]["secret"]["name"] == "mine"


def test_a_configuration_of_ones_own_goes_before_what_is_injected() -> None:
    own = {"workers": 1, "control_plane": {"unknown": "registry_only"}}
    (pod,) = templates(injected(ACCOUNT, replace(CONTROL, config=own)))
    config = check_yaml(pod["metadata"]["annotations"][CONFIG])
    assert config.control_plane is not None
    assert (config.workers, config.control_plane.unknown) == (1, "registry_only")


def check_yaml(text: str) -> Config:
    return load_document(Document(text.encode(), "yaml")).config
