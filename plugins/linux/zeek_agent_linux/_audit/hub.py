"""Where audit tables begin: the feeds of a host, shared by all its tables."""

from collections.abc import Mapping
from functools import partial
from weakref import WeakKeyDictionary

from zeek_agent_core.api import Host
from zeek_agent_linux._audit.feed import CHECK_SECONDS, Feed
from zeek_agent_linux._audit.modes import MODES

_feeds: WeakKeyDictionary[Host, Mapping[str, Feed]] = WeakKeyDictionary()


def feeds_of(host: Host, check_seconds: float = CHECK_SECONDS) -> Mapping[str, Feed]:
    """Return the feeds of *host* by the names of their modes, made at the first call."""
    feeds = _feeds.get(host)
    if feeds is None:
        feeds = {mode.name: Feed(partial(mode, host), check_seconds) for mode in MODES}
        _feeds[host] = feeds
    return feeds
