"""The part of a mesh that a sidecar has on disk, as a configuration. Runs in the process that compiles."""

from pathlib import Path

from tulle.controlplane.client.disk_state import PART, read_saved
from tulle.controlplane.load import check_model
from tulle.controlplane.mesh.assemble import assemble
from tulle.controlplane.model import Config
from tulle.controlplane.problems import ConfigError, Problem


def with_part(own: Config, candidate: Path | None = None) -> tuple[Config, str]:
    """A sidecar's configuration with the part that is tried, or else the last good one, and its version.

    Without a part it is what the file says, and the version empty. ConfigError with all that is wrong.
    """
    assert own.control_plane is not None
    saved = read_saved(candidate or Path(own.control_plane.state_dir) / PART)
    if not saved.resources and candidate is not None:  # taken for an empty mesh it would end all that runs
        raise ConfigError([Problem("part", "control_plane", f"{candidate}: cannot be read")])
    if not saved.resources:
        return own, ""
    whole = assemble(own, {(one.kind, one.name): one.payload for one in saved.resources})
    check_model(whole)  # what is odd about a mesh the control plane has told
    return whole, saved.version
