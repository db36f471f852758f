"""What the types of the model cannot say: references, formats, combinations."""

from tulle.controlplane.model import Config
from tulle.controlplane.problems import Problem


def check_model(config: Config) -> list[Problem]:
    """The warnings about a config; ConfigError with all its errors when it has any."""
    return []
