"""From a text to the same text with sidecars, or without."""

from tulle.proxy.injection.ecs import inject_task, uninject_task
from tulle.proxy.injection.edited_text import EditedText
from tulle.proxy.injection.kubernetes import inject_pod, uninject_pod
from tulle.proxy.injection.manifests import is_task_definition, pods
from tulle.proxy.injection.settings import Settings


def inject(source: str, name: str, settings: Settings) -> tuple[str, list[str]]:
    """The text with sidecars, and what there is to say about it.

    Those that it has already are made anew, so that another image or option is taken, and the same gives the
    same text. `Failure` when something cannot be, and why.
    """
    text = EditedText(uninject(source, name)[0], name)
    notes = []
    for document in text.documents:
        if is_task_definition(document):
            notes += inject_task(text, document, settings)
    for pod in pods(text):
        notes += inject_pod(text, pod, settings)
    return text.result(), notes


def uninject(source: str, name: str) -> tuple[str, list[str]]:
    """The text as it was before, and what there is to say about it."""
    text = EditedText(source, name)
    notes = []
    for document in text.documents:
        if is_task_definition(document) and uninject_task(text, document):
            notes.append(f"{name}: the task has no sidecar any more")
    notes += [f"{name}: {pod.name}: has no sidecar any more" for pod in pods(text) if uninject_pod(text, pod)]
    return text.result(), notes
