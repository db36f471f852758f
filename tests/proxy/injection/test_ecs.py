"""Task definitions of ECS."""

import json
from typing import Any

import pytest
import yaml

from tests.proxy.injection.manifests import TASK
from tulle.proxy.failure import Failure
from tulle.proxy.injection.injector import inject, uninject
from tulle.proxy.injection.settings import Settings

TIGHT = json.dumps(json.loads(TASK), separators=(",", ":"))
DESCRIBED = json.dumps({"taskDefinition": json.loads(TASK), "tags": []}, indent=4)


def injected(text: str, settings: Settings = Settings()) -> Any:  # noqa: B008
    return json.loads(inject(text, "task.json", settings)[0])


@pytest.mark.parametrize("text", [TASK, TIGHT, DESCRIBED, TASK.replace("  ", "\t")])
def test_what_was_injected_is_taken_out_byte_by_byte(text: str) -> None:
    once, notes = inject(text, "task.json", Settings())
    assert notes == ["task.json: task shop: injected"]
    assert uninject(once, "task.json")[0] == text
    assert inject(once, "task.json", Settings())[0] == once
    tidied = json.dumps(json.loads(once))
    assert json.loads(uninject(tidied, "task.json")[0]) == json.loads(text)


def test_the_application_starts_after_its_sidecar_and_stops_before_it() -> None:
    setup, sidecar, web, log = injected(TASK)["containerDefinitions"]
    assert setup["linuxParameters"]["capabilities"]["add"] == ["NET_ADMIN", "NET_RAW"]
    assert not setup["essential"]
    assert sidecar["dependsOn"] == [{"containerName": "tulle-redirect", "condition": "SUCCESS"}]
    assert sidecar["user"] == "1337"
    assert web["dependsOn"] == [{"containerName": "tulle", "condition": "HEALTHY"}]
    assert log["dependsOn"] == [
        {"containerName": "tulle", "condition": "HEALTHY"},
        {"containerName": "web", "condition": "START"},
    ]
    assert web["healthCheck"] == json.loads(TASK)["containerDefinitions"][0]["healthCheck"]
    config = yaml.safe_load(sidecar["environment"][0]["value"])
    assert {"inbound", "outbound"} <= {listener["name"] for listener in config["listeners"]}


def test_without_redirection_fargate_will_do() -> None:
    text = TASK.replace("EC2", "FARGATE")
    with pytest.raises(Failure, match="--no-redirect"):
        injected(text)
    names = [one["name"] for one in injected(text, Settings(redirect=False))["containerDefinitions"]]
    assert names == ["tulle", "web", "log"]


def test_with_a_control_plane_the_token_is_a_secret_of_the_task() -> None:
    settings = Settings(
        control=("control.example:15010",), token_secret="arn:aws:secretsmanager:eu:1:secret:t"
    )
    once = inject(TASK, "task.json", settings)[0]
    _, sidecar, *_ = json.loads(once)["containerDefinitions"]
    assert sidecar["secrets"] == [{"name": "TULLE_JOIN_TOKEN", "valueFrom": settings.token_secret}]
    assert 'umask 077 && printf "%s" "$TULLE_JOIN_TOKEN" > /run/tulle/token' in sidecar["command"][0]
    followed = yaml.safe_load(sidecar["environment"][0]["value"])["control_plane"]
    assert (followed["addresses"], followed["token_file"]) == (["control.example:15010"], "/run/tulle/token")
    assert uninject(once, "task.json")[0] == TASK
    with pytest.raises(Failure, match="--token-secret ARN"):
        injected(TASK, Settings(control=("control.example:15010",)))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("awsvpc", "bridge", "only with networkMode awsvpc"),
        ('"name": "web"', '"name": "tulle"', "has a container 'tulle'"),
    ],
)
def test_what_cannot_be_is_refused(old: str, new: str, reason: str) -> None:
    with pytest.raises(Failure, match=f"task.json: task shop: {reason}"):
        injected(TASK.replace(old, new))


def test_a_task_may_opt_out() -> None:
    text = TASK.replace(
        '"essential": true', '"essential": true, "dockerLabels": {"tulle.mesh/inject": "false"}'
    )
    assert inject(text, "task.json", Settings())[0] == text
