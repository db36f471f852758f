"""A YAML or JSON text that is changed in places: what is not asked for stays as it is, byte by byte.

The parser tells where each node begins and ends; additions and removals are edits of the text there, so
comments, order, quoting and odd spacing are never written anew. What is added comes first among its siblings,
and taking it away again leaves what was there before. Everything is in characters of the text; lines may end
in CR LF.
"""

import json
from typing import Any, NamedTuple

import yaml

from tulle.proxy.failure import Failure

ALIAS = "!alias"
VALUES = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, sooner
SEQUENCE_INDENT = 2


class LongText(str):
    """Text that is written as lines of their own where the style allows it."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_long(dumper: yaml.SafeDumper, text: LongText) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


_Dumper.add_representer(LongText, _represent_long)


class _Positions(yaml.SafeLoader):
    """Nodes as they are written: an alias is a node of its own, and anchors are remembered."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.aliased: set[str] = set()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            self.aliased.add(event.anchor)
            return yaml.ScalarNode(ALIAS, event.anchor, event.start_mark, event.end_mark)
        anchor = self.peek_event().anchor  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        if node is not None:
            node.anchor = anchor  # type: ignore[attr-defined]
        return node


def is_flow(node: yaml.Node) -> bool:
    """Whether it is written in brackets."""
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


class Entry(NamedTuple):
    """A value and the key it stands under; `path` is for messages."""

    path: str
    key: yaml.Node | None
    node: yaml.Node
    value: Any


class EditedText:
    """The documents of a text, and the edits that are to be made. `Failure` names the place and the
    reason."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.edits: list[tuple[int, int, str]] = []
        self.removals: dict[int, tuple[yaml.Node, set[int]]] = {}
        # JSON may be indented by tabs, which YAML forbids; none is inside of a string there
        readable = text.replace("\t", " ") if text.lstrip()[:1] in ("{", "[") else text
        loader = _Positions(readable)
        try:
            nodes = []
            while loader.check_node():
                nodes.append(loader.get_node())
            values = list(yaml.load_all(readable, VALUES))
        except yaml.YAMLError as error:
            raise Failure(f"{name}: {_reason(error)}") from None
        except RecursionError:
            raise Failure(f"{name}: is nested too deeply") from None
        self.aliased = loader.aliased
        self.documents = [
            Entry("", None, node, value)
            for node, value in zip(nodes, values, strict=True)
            if node is not None
        ]

    # -- finding ------------------------------------------------------------------------------------------

    def get(self, parent: Entry, name: str) -> Entry | None:
        """What stands under a key of a mapping; None when nothing does."""
        if not isinstance(parent.value, dict) or name not in parent.value:
            return None
        path = f"{parent.path}.{name}" if parent.path else name
        if isinstance(parent.node, yaml.MappingNode):
            for key, node in parent.node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != ALIAS and key.value == name:
                    return Entry(path, key, node, parent.value[name])
        raise Failure(
            f"{self.name}:{parent.node.start_mark.line + 1}: {path} comes from an alias or a merge key, and"
            " what is added there would be added elsewhere too; write it out"
        )

    def items(self, parent: Entry) -> list[Entry]:
        """The items of a sequence; none when it is something else."""
        if not isinstance(parent.value, list):
            return []
        if not isinstance(parent.node, yaml.SequenceNode):
            self.refuse_alias(parent)
            return []
        return [
            Entry(f"{parent.path}[{index}]", None, node, value)
            for index, (node, value) in enumerate(zip(parent.node.value, parent.value, strict=True))
        ]

    def refuse_alias(self, entry: Entry) -> None:
        """An edit inside of this would change other places too."""
        if entry.node.tag == ALIAS or getattr(entry.node, "anchor", None) in self.aliased:
            raise Failure(
                f"{self.name}:{entry.node.start_mark.line + 1}: {entry.path} is shared by an alias, and what"
                " is changed there would change elsewhere too; write it out"
            )

    # -- editing ------------------------------------------------------------------------------------------

    def add(self, parent: Entry, addition: dict[str, Any] | list[Any]) -> None:
        """Put entries into a mapping, or items into a sequence, before those that it has."""
        self.refuse_alias(parent)
        node = parent.node
        if isinstance(node, yaml.CollectionNode) and (
            isinstance(node, yaml.MappingNode) != isinstance(addition, dict)
        ):
            raise Failure(
                f"{self.name}:{node.start_mark.line + 1}: {parent.path} is not of the kind it should be"
            )
        if is_flow(node):
            self._add_flow(node, addition)
            return
        if parent.key is None:
            raise Failure(f"{self.name}:{node.start_mark.line + 1}: cannot add to {parent.path or 'this'}")
        if isinstance(node, yaml.MappingNode):
            column = node.value[0][0].start_mark.column
        elif isinstance(node, yaml.SequenceNode):
            column = node.start_mark.column
        elif node.start_mark.index == node.end_mark.index:
            column = parent.key.start_mark.column + SEQUENCE_INDENT
        else:
            raise Failure(
                f"{self.name}:{node.start_mark.line + 1}: {parent.path} is {node.value!r}; leave it out or"
                " give it a value of its kind"
            )
        self._insert_line(self._line_end(parent.key.end_mark.index), self._block(addition, column))

    def replace(self, start: int, end: int, text: str) -> None:
        self.edits.append((start, end, text))

    def remove_items(self, parent: Entry, indexes: set[int]) -> None:
        """Take items out of a sequence, or entries out of a mapping."""
        self.removals.setdefault(id(parent.node), (parent.node, set()))[1].update(indexes)

    def _remove(self, parent: yaml.Node, indexes: set[int]) -> None:
        children = parent.value
        spans = [
            (child[0].start_mark.index, self.content_end(child[1]))
            if isinstance(child, tuple)
            else (child.start_mark.index, self.content_end(child))
            for child in children
        ]
        if not is_flow(parent):
            for index in indexes:
                self.replace(self._line_start(spans[index][0]), self._line_end(spans[index][1]), "")
            return
        kept = [index for index in range(len(spans)) if index not in indexes]
        tail = kept[-1] + 1 if kept else 0  # from here on all go, and so does the comma before them
        for index in indexes:
            if index < tail:
                self.replace(spans[index][0], spans[index + 1][0], "")
        if tail < len(spans):
            self.replace(spans[tail - 1][1] if kept else spans[0][0], spans[-1][1], "")

    def remove_entry(self, parent: Entry, name: str) -> None:
        for index, (key, _) in enumerate(parent.node.value):
            if key.value == name:
                self.remove_items(parent, {index})

    def content_end(self, node: yaml.Node) -> int:
        """Where the last character of a node is, without what is blank or a comment after it."""
        if isinstance(node, yaml.CollectionNode) and not is_flow(node) and node.value:
            last = node.value[-1]
            return self.content_end(last[1] if isinstance(last, tuple) else last)
        start, end = node.start_mark.index, node.end_mark.index
        if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
            return int(start + len(self.text[start:end].rstrip()))
        return int(end)

    def result(self) -> str:
        """The text with all edits made."""
        for parent, indexes in self.removals.values():
            self._remove(parent, indexes)
        self.removals.clear()
        text = self.text
        for start, end, replacement in sorted(self.edits, key=lambda edit: edit[:2], reverse=True):
            text = text[:start] + replacement + text[end:]
        return text

    # -- writing ------------------------------------------------------------------------------------------

    def _line_start(self, index: int) -> int:
        return self.text.rfind("\n", 0, index) + 1

    def _line_end(self, index: int) -> int:
        """After the end of the line."""
        found = self.text.find("\n", index)
        return found + 1 if found >= 0 else len(self.text)

    def _insert_line(self, index: int, lines: str) -> None:
        if index == len(self.text) and not self.text.endswith("\n"):
            lines = self.newline + lines.removesuffix(self.newline)
        self.replace(index, index, lines)

    def _block(self, addition: dict[str, Any] | list[Any], column: int) -> str:
        text = yaml.dump(
            addition,
            Dumper=_Dumper,
            sort_keys=False,
            default_flow_style=False,
            allow_unicode=True,
            width=1 << 30,
        )
        lines = text.splitlines()
        return "".join(f"{' ' * column}{line}".rstrip() + self.newline for line in lines)

    def _add_flow(self, node: yaml.Node, addition: dict[str, Any] | list[Any]) -> None:
        bracket = "{" if isinstance(addition, dict) else "["
        inside = self.text.index(bracket, node.start_mark.index) + 1
        first = node.value[0][0] if node.value and isinstance(addition, dict) else (node.value or [None])[0]
        between = self.text[inside : first.start_mark.index] if first is not None else ""
        if between.strip():  # a comment
            between = " "
        margin = between.rpartition("\n")[2] if "\n" in between else None
        if isinstance(addition, dict):
            pieces = [f"{json.dumps(key)}: {_flow(value, margin)}" for key, value in addition.items()]
        else:
            pieces = [_flow(value, margin) for value in addition]
        text = f",{between or ' '}".join(pieces).replace("\n", self.newline)
        if first is None:
            self.replace(inside, inside, text)
        else:
            self.replace(first.start_mark.index, first.start_mark.index, f"{text},{between or ' '}")


def _flow(value: Any, margin: str | None) -> str:
    """As JSON; over several lines when a margin is given, the white space that its lines begin with."""
    if margin is None:
        return json.dumps(value, ensure_ascii=False)
    step = "\t" if "\t" in margin else 2
    return json.dumps(value, ensure_ascii=False, indent=step).replace("\n", f"\n{margin}")


def _reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem or error.context}"
    return f"is not YAML: {error}"
