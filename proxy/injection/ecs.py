"""A task definition of ECS gets its sidecar, and loses it again.

What was done is written down in a label of the sidecar (`settings.STATUS`). A task has no probes from
outside: its health checks run inside of its containers, and stay as they are.
"""

import json
from typing import Any

from tulle.proxy.failure import Failure
from tulle.proxy.injection.edited_text import EditedText, Entry
from tulle.proxy.injection.manifests import task_definition
from tulle.proxy.injection.probes import Rewritten
from tulle.proxy.injection.settings import INJECT, SETUP, SIDECAR, STATUS, USER, Settings, switch
from tulle.proxy.injection.sidecar_config import sidecar_config

CONFIG_VARIABLE = "TULLE_CONFIG"
TOKEN_VARIABLE = "TULLE_JOIN_TOKEN"
CONFIG_FILE = "/run/tulle/tulle.yaml"
TOKEN_FILE = "/run/tulle/token"
START = f'printf "%s" "${CONFIG_VARIABLE}" > {CONFIG_FILE} && exec tulle proxy -c {CONFIG_FILE}'
JOIN = f'umask 077 && printf "%s" "${TOKEN_VARIABLE}" > {TOKEN_FILE} && unset {TOKEN_VARIABLE} && '
READY = ["CMD", "tulle", "run", "--wait", "5s", "--", "true"]
STOP_TIMEOUT = 120  # seconds, the longest that ECS allows


def inject_task(text: EditedText, document: Entry, settings: Settings) -> list[str]:
    """Add what the task needs; what there is to say about it. `Failure` when it cannot be."""
    task = _task(text, document)
    where = f"{text.name}: task {task.value.get('family', 'without a family')}"
    labels = _labels(task.value)
    if INJECT in labels and not switch(labels, INJECT, where):
        return [f"{where}: left alone, since its label {INJECT} says so"]
    if task.value.get("networkMode") != "awsvpc":
        raise Failure(f"{where}: only with networkMode awsvpc has a task a network of its own to redirect")
    if settings.redirect and "FARGATE" in (task.value.get("requiresCompatibilities") or []):
        raise Failure(
            f"{where}: Fargate lets no container change its network (NET_ADMIN); take FARGATE out of"
            " requiresCompatibilities, or inject with --no-redirect and have the application call its sidecar"
        )
    settings = settings.of_pod(labels, where)
    if settings.control and not settings.token_secret:
        raise Failure(
            f"{where}: its sidecar needs a join token; name the secret that has one, as --token-secret ARN"
        )
    containers = text.get(task, "containerDefinitions")
    items = text.items(containers) if containers is not None else []
    if containers is None or not items:
        raise Failure(f"{where}: has no containers")
    for item in items:
        if item.value.get("name") in (SIDECAR, SETUP):
            raise Failure(f"{where}: has a container {item.value['name']!r}, which injection did not add")
    created = []
    for item in items:
        depends = text.get(item, "dependsOn")
        addition = [{"containerName": SIDECAR, "condition": "HEALTHY"}]
        if depends is None:
            created.append(item.value.get("name"))
            text.add(item, {"dependsOn": addition})
        else:
            text.add(depends, addition)
    added = [_setup(settings)] if settings.redirect else []
    text.add(containers, [*added, _sidecar(settings, {"created": created})])
    return [f"{where}: injected"]


def uninject_task(text: EditedText, document: Entry) -> bool:
    """Take away what `inject_task` has added; whether there was something."""
    task = _task(text, document)
    containers = text.get(task, "containerDefinitions")
    items = text.items(containers) if containers is not None else []
    status = next(
        (
            item.value["dockerLabels"][STATUS]
            for item in items
            if item.value.get("name") == SIDECAR and STATUS in (item.value.get("dockerLabels") or {})
        ),
        None,
    )
    if status is None or containers is None:
        return False
    try:
        created = set(json.loads(status)["created"])
    except (ValueError, TypeError, KeyError):
        raise Failure(f"{text.name}: the label {STATUS} was changed and cannot be read") from None
    text.remove_items(
        containers, {index for index, item in enumerate(items) if item.value.get("name") in (SIDECAR, SETUP)}
    )
    for item in items:
        depends = text.get(item, "dependsOn") if item.value.get("name") not in (SIDECAR, SETUP) else None
        if depends is None:
            continue
        gone = {
            index
            for index, value in enumerate(depends.value)
            if value.get("containerName") in (SIDECAR, SETUP)
        }
        if item.value.get("name") in created and len(gone) == len(depends.value):
            text.remove_entry(item, "dependsOn")
        else:
            text.remove_items(depends, gone)
    return True


def _task(text: EditedText, document: Entry) -> Entry:
    key = task_definition(document)
    found = text.get(document, key) if key else document
    if found is None:
        raise Failure(f"{text.name}: has no task definition")
    return found


def _labels(task: dict[str, Any]) -> dict[str, Any]:
    """Of all containers together: a task has no annotations of its own."""
    labels: dict[str, Any] = {}
    for container in task.get("containerDefinitions") or []:
        labels.update(container.get("dockerLabels") or {})
    return labels


def _setup(settings: Settings) -> dict[str, Any]:
    return {
        "name": SETUP,
        "image": settings.image,
        "essential": False,
        "user": "0",
        "command": settings.redirect_words(1),
        "linuxParameters": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]}},
    }


def _sidecar(settings: Settings, status: dict[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if settings.redirect:
        more["dependsOn"] = [{"containerName": SETUP, "condition": "SUCCESS"}]
    if settings.control:
        more["secrets"] = [{"name": TOKEN_VARIABLE, "valueFrom": settings.token_secret}]
    return {
        "name": SIDECAR,
        "image": settings.image,
        "essential": True,
        "user": str(USER),
        "entryPoint": ["sh", "-c"],
        "command": [JOIN + START if settings.control else START],
        "environment": [
            {"name": CONFIG_VARIABLE, "value": sidecar_config(settings, Rewritten(), TOKEN_FILE)}
        ],
        "healthCheck": {"command": READY, "interval": 5, "timeout": 10, "retries": 3, "startPeriod": 60},
        "stopTimeout": STOP_TIMEOUT,
        "dockerLabels": {STATUS: json.dumps(status, separators=(",", ":"))},
        **more,
    }
