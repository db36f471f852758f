"""Names that all sides of a mesh know."""

CONTROL_PATH = "/ns/tulle/sa/control"  # the control plane's own identity, in every trust domain
