"""What checks find in a configuration, before it is known on which line that is."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal, NamedTuple

from tulle.controlplane.problems import Path, Positions, Problem, path_text


class Finding(NamedTuple):
    """One thing that is wrong (`error`) or odd (`warning`)."""

    severity: Literal["error", "warning"]
    code: str
    path: Path
    message: str
    hint: str = ""

    def problem(self, positions: Positions) -> Problem:
        """With the line of its path, or of the nearest thing around it that the text has."""
        line, column = 0, 0
        for length in range(len(self.path), 0, -1):
            if self.path[:length] in positions:
                line, column = positions[self.path[:length]]
                break
        return Problem(self.code, path_text(self.path), self.message, self.hint, line, column)


class Report:
    """Collects findings; `ignored` are paths that have an error already, with all that is below them."""

    def __init__(self, ignored: Iterable[Path] = ()) -> None:
        self.findings: list[Finding] = []
        self.ignored = frozenset(ignored)

    def error(self, code: str, path: Path, message: str, hint: str = "") -> None:
        self._add(Finding("error", code, path, message, hint))

    def unknown(self, path: Path, what: str, name: str, section: str, known: Iterable[str]) -> None:
        """A reference to something that its section, a key of the whole config, does not have."""
        if (section,) not in self.ignored:
            self.error("reference", path, f"there {what} {name!r}", did_you_mean(name, known))

    def warning(self, code: str, path: Path, message: str, hint: str = "") -> None:
        self._add(Finding("warning", code, path, message, hint))

    def _add(self, finding: Finding) -> None:
        if not (self.ignored and self._is_ignored(finding)):
            self.findings.append(finding)

    def _is_ignored(self, finding: Finding) -> bool:
        length = len(finding.path)
        if any(finding.path[:part] in self.ignored for part in range(length + 1)):
            return True
        # what is missing or does not go together may be so only because of an error inside
        inside = finding.code in ("missing-key", "combination", "weights")
        return inside and any(path[:length] == finding.path for path in self.ignored)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint with the nearest of the known words, or else with all of them when they are few."""
    words = list(known)
    near = get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]}?"
    if otherwise or not words:
        return otherwise
    return f"Known: {', '.join(words[:12])}{', ...' if len(words) > 12 else ''}."
