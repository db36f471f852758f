"""What in a manifest is a pod: Kubernetes' kinds that have a template of one, and lists of them."""

from collections.abc import Iterator
from typing import NamedTuple

from tulle.proxy.injection.edited_text import EditedText, Entry

TEMPLATES: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}
ENDING = frozenset({"Job", "CronJob"})  # their pods are done when all ordinary containers are


class Pod(NamedTuple):
    """A pod or a template of one; `name` is for people: "Deployment web". `namespace` may be empty."""

    name: str
    kind: str
    template: Entry
    namespace: str = ""


def pods(text: EditedText) -> Iterator[Pod]:
    """All pods in the documents of a text."""
    for document in text.documents:
        yield from _pods(text, document)


def _pods(text: EditedText, entry: Entry) -> Iterator[Pod]:
    if not isinstance(entry.value, dict):
        return
    kind = entry.value.get("kind")
    if isinstance(kind, str) and kind.endswith("List"):
        listed = text.get(entry, "items")
        for item in text.items(listed) if listed is not None else []:
            yield from _pods(text, item)
        return
    if kind not in TEMPLATES:
        return
    metadata = entry.value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name") or metadata.get("generateName") or "without a name"
    template: Entry | None = entry
    for key in TEMPLATES[kind]:
        template = text.get(template, key) if template is not None else None
    if template is not None and isinstance(template.value, dict):
        yield Pod(f"{kind} {name}", kind, template, str(metadata.get("namespace") or ""))


def is_task_definition(document: Entry) -> bool:
    """Whether this is a task definition of ECS, as it is registered or as it is described."""
    return task_definition(document) is not None


def task_definition(document: Entry) -> str | None:
    """The key under which a task definition of ECS stands, empty for the whole; None: there is none."""
    value = document.value
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("containerDefinitions"), list):
        return ""
    inner = value.get("taskDefinition")
    if isinstance(inner, dict) and isinstance(inner.get("containerDefinitions"), list):
        return "taskDefinition"
    return None
