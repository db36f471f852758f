"""A pod gets its sidecar, and loses it again.

What was done is written down in an annotation of the pod (`settings.STATUS`), by which it is undone: also in
a manifest that has been through the cluster and was written anew there.
"""

import json
from dataclasses import replace
from typing import Any

import yaml

from tulle.proxy.failure import Failure
from tulle.proxy.injection.edited_text import EditedText, Entry, LongText
from tulle.proxy.injection.manifests import ENDING, Pod
from tulle.proxy.injection.probes import READY_PATH, Original, Rewritten, restore_probes, rewrite_probes
from tulle.proxy.injection.settings import (
    CONFIG,
    CONFIG_VOLUME,
    INJECT,
    PROBE_PORT,
    RUN_VOLUME,
    SETUP,
    SIDECAR,
    STATE_VOLUME,
    STATUS,
    TOKEN_VOLUME,
    USER,
    Settings,
    switch,
)
from tulle.proxy.injection.sidecar_config import probe_ports, sidecar_config

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
CONFIG_FILE = "/etc/tulle/tulle.yaml"
RUN_DIRECTORY = "/run/tulle"
STATE_MOUNT = "/var/lib/tulle"
TOKENS = "/run/secrets/tulle"


def inject_pod(text: EditedText, pod: Pod, settings: Settings) -> list[str]:
    """Add what the pod needs; what there is to say about it. `Failure` when it cannot be."""
    where = f"{text.name}: {pod.name}"
    annotations = _annotations(pod.template.value)
    if INJECT in annotations and not switch(annotations, INJECT, where):
        return [f"{where}: left alone, since its annotation {INJECT} says so"]
    spec = text.get(pod.template, "spec")
    if spec is None or not isinstance(spec.value, dict) or not spec.value.get("containers"):
        raise Failure(f"{where}: has no containers")
    if spec.value.get("hostNetwork") is True:
        return [f"{where}: left alone, since it uses the network of its node (hostNetwork)"]
    if STATUS in annotations:
        raise Failure(f"{where}: has the annotation {STATUS}, but not what it tells of; remove it")
    _refuse_taken_names(spec.value, where)
    if settings.sidecar == "ordinary" and pod.kind in ENDING:
        raise Failure(
            f"{where}: a {pod.kind} is not done before all its ordinary containers are; use --sidecar native"
        )
    settings = settings.of_pod(annotations, where)
    notes = []
    if settings.control:
        account = str(spec.value.get("serviceAccountName") or "default")
        if not settings.token_secret:
            settings = replace(settings, token_secret=f"tulle-join-{account}")
        notes.append(_needs_token(pod, account, settings.token_secret))
    probes = rewrite_probes(text, spec) if settings.rewrite_probes else Rewritten()
    _add(text, pod.template, spec, settings, probes)
    return [f"{where}: injected", *(f"{where}: {note}" for note in (*notes, *probes.notes))]


def uninject_pod(text: EditedText, pod: Pod) -> bool:
    """Take away what `inject_pod` has added; whether there was something."""
    annotations = _annotations(pod.template.value)
    if STATUS not in annotations:
        return False
    where = f"{text.name}: {pod.name}"
    try:
        status = json.loads(annotations[STATUS])
        created = set(status["created"])
        added = {key: set(status[key]) for key in ("initContainers", "containers", "volumes", "annotations")}
        originals = [
            Original(str(one["at"]), int(one["column"]), str(one["raw"])) for one in status["probes"]
        ]
    except (ValueError, TypeError, KeyError):
        raise Failure(f"{where}: the annotation {STATUS} was changed and cannot be read") from None
    spec = text.get(pod.template, "spec")
    metadata = text.get(pod.template, "metadata")
    if spec is None or metadata is None:
        return False
    restore_probes(text, spec, originals)
    for name in ("initContainers", "containers", "volumes"):
        listed = text.get(spec, name)
        items = text.items(listed) if listed is not None else []
        gone = {index for index, item in enumerate(items) if _name(item.value) in added[name]}
        if listed is not None and gone:
            if f"spec.{name}" in created and len(gone) == len(items):
                text.remove_entry(spec, name)
            else:
                text.remove_items(listed, gone)
    if "metadata" in created and set(metadata.value) == {"annotations"}:
        text.remove_entry(pod.template, "metadata")
        return True
    listed = text.get(metadata, "annotations")
    if listed is not None:
        keys = [key.value for key, _ in listed.node.value]
        gone = {index for index, key in enumerate(keys) if key in added["annotations"]}
        if "metadata.annotations" in created and len(gone) == len(keys):
            text.remove_entry(metadata, "annotations")
        else:
            text.remove_items(listed, gone)
    return True


def _annotations(template: dict[str, Any]) -> dict[str, Any]:
    metadata = template.get("metadata")
    found = metadata.get("annotations") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def _name(value: Any) -> Any:
    return value.get("name") if isinstance(value, dict) else None


def _refuse_taken_names(spec: dict[str, Any], where: str) -> None:
    for group, names in (
        ("containers", {SIDECAR, SETUP}),
        ("initContainers", {SIDECAR, SETUP}),
        ("volumes", {CONFIG_VOLUME, RUN_VOLUME, STATE_VOLUME, TOKEN_VOLUME}),
    ):
        for item in spec.get(group) or []:
            if _name(item) in names:
                raise Failure(
                    f"{where}: spec.{group} has {_name(item)!r} already, which injection did not add"
                )


def _add(text: EditedText, template: Entry, spec: Entry, settings: Settings, probes: Rewritten) -> None:
    annotations: dict[str, Any] = {CONFIG: LongText(sidecar_config(settings, probes, TOKENS))}
    containers: list[Any] = []
    init_containers: list[Any] = [_setup(settings, probes)] if settings.redirect else []
    if settings.sidecar == "native":
        init_containers.append({**_sidecar(settings), "restartPolicy": "Always", **_startup()})
    else:
        containers.append({**_sidecar(settings), **_readiness(), **_hold()})
        if DEFAULT_CONTAINER not in _annotations(template.value):
            annotations[DEFAULT_CONTAINER] = _name(spec.value["containers"][0])
    additions = {"initContainers": init_containers, "containers": containers, "volumes": _volumes(settings)}
    created = [f"spec.{name}" for name, items in additions.items() if items and name not in spec.value]
    metadata = template.value.get("metadata")
    if "metadata" not in template.value:
        created.append("metadata")
    elif not isinstance(metadata, dict) or "annotations" not in metadata:
        created.append("metadata.annotations")
    status = {
        **{name: [_name(item) for item in items] for name, items in additions.items()},
        "annotations": [STATUS, *annotations],
        "created": created,
        "probes": [original._asdict() for original in probes.originals],
    }
    annotations = {STATUS: json.dumps(status, separators=(",", ":"), ensure_ascii=False), **annotations}
    missing: dict[str, Any] = {}
    for name, items in additions.items():
        listed = text.get(spec, name)
        if items and listed is None:
            missing[name] = items
        elif items and listed is not None:
            text.add(listed, items)
    if missing:
        text.add(spec, missing)
    _add_annotations(text, template, annotations)


def _add_annotations(text: EditedText, template: Entry, annotations: dict[str, Any]) -> None:
    metadata = text.get(template, "metadata")
    if metadata is None:
        text.add(template, {"metadata": {"annotations": annotations}})
        return
    listed = text.get(metadata, "annotations")
    if listed is None:
        text.add(metadata, {"annotations": annotations})
    else:
        text.add(listed, annotations)


# -- what is added ----------------------------------------------------------------------------------------


def _setup(settings: Settings, probes: Rewritten) -> dict[str, Any]:
    return {
        "name": SETUP,
        "image": settings.image,
        "args": settings.redirect_words(probe_ports(probes)),
        "securityContext": {
            "runAsUser": 0,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
        },
        "resources": {"requests": {"cpu": settings.cpu, "memory": settings.memory}},
    }


def _sidecar(settings: Settings) -> dict[str, Any]:
    return {
        "name": SIDECAR,
        "image": settings.image,
        "args": ["proxy", "-c", CONFIG_FILE],
        # The volume is anybody's to write; the sidecar makes a directory of its own in it
        "env": [{"name": "XDG_RUNTIME_DIR", "value": RUN_DIRECTORY}],
        "ports": [{"name": "tulle-probes", "containerPort": PROBE_PORT, "protocol": "TCP"}],
        "securityContext": {
            "runAsUser": USER,
            "runAsGroup": USER,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": settings.cpu, "memory": settings.memory}},
        "volumeMounts": [
            {"name": CONFIG_VOLUME, "mountPath": "/etc/tulle", "readOnly": True},
            {"name": RUN_VOLUME, "mountPath": RUN_DIRECTORY},
            *(_control_mounts() if settings.control else ()),
        ],
    }


def _control_mounts() -> list[dict[str, Any]]:
    return [
        {"name": STATE_VOLUME, "mountPath": STATE_MOUNT},
        {"name": TOKEN_VOLUME, "mountPath": TOKENS, "readOnly": True},
    ]


def _asks_ready() -> dict[str, Any]:
    return {"httpGet": {"path": READY_PATH, "port": PROBE_PORT}}


def _startup() -> dict[str, Any]:
    """What comes after a native sidecar waits for this."""
    return {
        "startupProbe": {**_asks_ready(), "periodSeconds": 1, "failureThreshold": 120},
        **_readiness(),
    }


def _readiness() -> dict[str, Any]:
    return {"readinessProbe": {**_asks_ready(), "periodSeconds": 5, "failureThreshold": 3}}


def _hold() -> dict[str, Any]:
    """The kubelet begins no further container before this has returned."""
    wait = ["tulle", "run", "--wait", "120s", "--", "true"]
    return {"lifecycle": {"postStart": {"exec": {"command": wait}}}}


def _needs_token(pod: Pod, account: str, secret: str) -> str:
    """What is to be done for a pod to become part of the mesh."""
    namespace = pod.namespace or "default"
    unsure = "" if pod.namespace else ", if that is its namespace"
    return (
        f"is /ns/{namespace}/sa/{account}{unsure}; each of its pods takes a join token for that"
        f" (tulle token /ns/{namespace}/sa/{account}) from the Secret {secret}, a key for each"
    )


def _volumes(settings: Settings) -> list[dict[str, Any]]:
    added: list[dict[str, Any]] = []
    if settings.control:
        # The private key is among what is kept, so it is in memory, and gone with the pod
        added.append({"name": STATE_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}})
        source = {"secret": {"name": settings.token_secret}}
        added.append({"name": TOKEN_VOLUME, "projected": {"sources": [source]}})
    return [
        {
            "name": CONFIG_VOLUME,
            "downwardAPI": {
                "items": [
                    {"path": "tulle.yaml", "fieldRef": {"fieldPath": f"metadata.annotations['{CONFIG}']"}}
                ]
            },
        },
        {"name": RUN_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        *added,
    ]


def parse_config(text: str, name: str) -> dict[str, Any]:
    """A sidecar's configuration that a person gives; `Failure` when it is none."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Failure(f"{name}: is not YAML: {error}") from None
    if not isinstance(found, dict):
        raise Failure(f"{name}: is not a configuration")
    return found
