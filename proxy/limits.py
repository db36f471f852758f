"""What the system lets this process have."""

import resource

from tulle.proxy.configuration import Settings
from tulle.proxy.messages import warn

DESCRIPTORS_A_WORKER = 512  # besides those of connections, generously


def raise_open_files(settings: Settings) -> None:
    """Raise the limit of open files to what is allowed, and say when the configuration can ask for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return
    # a proxied connection has a socket on either side
    wanted = 2 * sum(listener.max_connections for listener in settings.listeners) + DESCRIPTORS_A_WORKER
    if wanted > hard:
        warn(
            f"a worker may need {wanted} open files for the max_connections of its listeners, "
            f"and is allowed {hard}; "
            f"raise it (`ulimit -Hn {wanted}`, LimitNOFILE= of systemd) or lower max_connections"
        )
