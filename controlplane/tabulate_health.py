"""What keeps bad endpoints away, of the model, to rows of the routing table."""

from typing import Any

from tulle.controlplane.model_health import OutlierDetection
from tulle.controlplane.table import OutlierRow
from tulle.controlplane.units import nanoseconds


def outlier_row(policy: OutlierDetection | None) -> OutlierRow | None:
    """The names are the same; durations become nanoseconds."""
    if policy is None:
        return None
    values: dict[str, Any] = {name: getattr(policy, name) for name in policy.__struct_fields__}
    for name in ("interval", "base_ejection_time", "max_ejection_time"):
        values[name] = nanoseconds(values[name])
    return OutlierRow(**values)
