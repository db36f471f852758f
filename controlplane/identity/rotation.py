"""When a certificate is to be renewed. Pure: times are passed in, in seconds since 1970, and so is chance."""

SHARE = 2 / 3  # of its life, after which a certificate is renewed at the latest
JITTER = 1 / 10  # of its life, by which some are earlier than others


def renew_at(not_before: float, not_after: float, chance: float) -> float:
    """The time to renew a certificate.

    `chance` is from 0 to 1, evenly: those that were issued together are then renewed over a while, and not
    all at one moment. It is never later than 2/3 of its life, from where on people are warned.
    """
    life = not_after - not_before
    return not_before + life * (SHARE - JITTER * chance)


def chance_of(fingerprint: str) -> float:
    """Chance that is the same for one certificate every time, also after a restart."""
    return int(fingerprint.replace(":", "")[:8], 16) / 0xFFFFFFFF
