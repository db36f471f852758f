"""A sidecar that is run from a control plane: the process that follows it, and the commands."""
