"""What is wrong with a configuration: where, what, and what would be right."""

from msgspec import Struct

Path = tuple[str | int, ...]
Position = tuple[int, int]  # line and column, from 1
Positions = dict[Path, Position]  # where a key or an item begins


class Problem(Struct, frozen=True):
    """One error or warning. `line` and `column` count from 1; 0 is unknown.

    `code` is stable, for tools; `path` is as in `routes.main[3].matches[0].path`.
    """

    code: str
    path: str
    message: str
    hint: str = ""
    line: int = 0
    column: int = 0

    def text(self, source: str) -> str:
        """`file:line: path: message. hint`, without what is unknown."""
        place = f"{source}:{self.line}" if self.line else source
        parts = [part for part in (place, self.path) if part]
        message = self.message if self.message.endswith((".", "?", "!")) else self.message + "."
        return f"{': '.join(parts)}: {message}" + (f" {self.hint}" if self.hint else "")


class TextError(Exception):
    """A text that is not well-formed, and where."""

    def __init__(self, message: str, position: Position) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class ConfigError(Exception):
    """A configuration that cannot be read at all, or not be used."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(problem.text("config") for problem in problems))
        self.problems = problems


def path_text(path: Path) -> str:
    """`("routes", "main", 3)` as `routes.main[3]`; what is no word is quoted: `routes["a b"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "a").replace("-", "a").isalnum():
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text
