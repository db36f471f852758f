"""A sidecar's side of the control plane: enrolment, the stream of updates, and what is kept on disk."""
