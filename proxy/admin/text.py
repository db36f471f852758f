"""Nested figures as plain text: one `name: value` a line, what is inside is indented."""


def readable(value: object) -> str:
    """Lines for people, the last one ended too."""
    return "\n".join([*_lines(value, ""), ""])


def _lines(value: object, indent: str) -> list[str]:
    if isinstance(value, dict):
        return [line for name, inner in value.items() for line in _entry(f"{indent}{name}:", inner, indent)]
    if isinstance(value, list | tuple):
        return [line for inner in value for line in _item(inner, indent)]
    return [f"{indent}{_scalar(value)}"]


def _entry(head: str, value: object, indent: str) -> list[str]:
    if isinstance(value, dict | list | tuple):
        return [head, *_lines(value, indent + "  ")] if value else [f"{head} none"]
    return [f"{head} {_scalar(value)}"]


def _item(value: object, indent: str) -> list[str]:
    """An item of a list begins with a dash, its other lines below its first word."""
    first, *rest = _lines(value, "") or ["none"]
    return [f"{indent}- {first}", *(f"{indent}  {line}" for line in rest)]


def _scalar(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
