"""Pure: times and intervals as people like to read them."""

import time

YEAR = 31_556_952 * 10**9
MOMENT = 20 * YEAR
"""An interval longer than this counts from the Unix epoch and is shown as a time."""

_SMALL = ((1_000, "ns", 1), (1_000_000, "us", 1_000), (1_000_000_000, "ms", 1_000_000))


def moment(microseconds: int) -> str:
    """Return a time in the local zone, to the second; the plain number where there is none."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(microseconds // 1_000_000))
    except (OverflowError, ValueError, OSError):
        return f"{microseconds}us"


def duration(nanoseconds: int) -> str:
    """Return an interval in the units that fit, for example `3m 05s`; rounded."""
    size = abs(nanoseconds)
    if size > MOMENT:
        return moment(nanoseconds // 1000)
    return ("-" if nanoseconds < 0 else "") + _size(size)


def _size(size: int) -> str:
    if size == 0:
        return "0s"
    for bound, unit, factor in _SMALL:
        if size < bound:
            return _digits(size / factor) + unit
    if size < 60 * 10**9:
        return _digits(size / 1e9) + "s"
    minutes, seconds = divmod(size // 10**9, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h {minutes:02}m"
    return f"{hours}h {minutes:02}m {seconds:02}s" if hours else f"{minutes}m {seconds:02}s"


def _digits(value: float) -> str:
    """Return *value*, from 1 to 1000, with three digits at most."""
    places = 2 if value < 10 else 1 if value < 100 else 0  # noqa: PLR2004 - powers of ten
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if places else text
