"""Subscribes to channels of the Event Log, through pywin32."""

import errno
import sys
from collections.abc import Mapping, Sequence

from zeek_agent_windows._blocking import Reader
from zeek_agent_windows._eventlog import Rendered, bookmark

FUTURE, AFTER_BOOKMARK = 1, 3
"""`EvtSubscribeToFutureEvents`, `EvtSubscribeStartAfterBookmark`."""
RENDER_XML = 1
FORMAT_EVENT = 1
BATCH = 64
MOST_CHANNELS = 60
NO_MORE_ITEMS, TIMEOUT = 259, 1460


def subscribe(channels: Mapping[str, int | None], query: str) -> Reader:
    """Return a reader of `Rendered` events.

    *channels* has the record after which to begin, None for what is to come;
    *query* is an XPath of the Event Log, `*` for all.
    """
    if sys.platform == "win32":
        return Subscription(channels, query)
    raise OSError(errno.ENOSYS, "this exists on Windows only")


if sys.platform == "win32":
    import pywintypes
    import win32event
    import win32evtlog

    class Subscription:
        """Some channels."""

        def __init__(self, channels: Mapping[str, int | None], query: str) -> None:
            """Read *channels* once opened."""
            self._channels, self._query = channels, query
            self._subscriptions: list[object] = []
            self._signals: list[int] = []
            self._providers: dict[str, object] = {}

        def open(self) -> None:
            """Subscribe to all channels."""
            for channel, record in self._channels.items():
                signal = win32event.CreateEvent(None, True, True, None)
                mark = None
                if record is not None:
                    mark = win32evtlog.EvtCreateBookmark(bookmark(channel, record))
                try:
                    subscription = win32evtlog.EvtSubscribe(
                        channel,
                        FUTURE if mark is None else AFTER_BOOKMARK,
                        SignalEvent=signal,
                        Query=self._query,
                        Bookmark=mark,
                    )
                except pywintypes.error as error:
                    raise OSError(error.winerror, f"{channel}: {error.strerror}") from error
                self._subscriptions.append(subscription)
                self._signals.append(int(signal))

        def read(self, seconds: float) -> Sequence[Rendered]:
            """Wait for events; take what each channel has."""
            found = win32event.WaitForMultipleObjects(self._signals, False, int(seconds * 1000))
            if not 0 <= found < len(self._signals):
                return ()
            events: list[Rendered] = []
            for signal, subscription in zip(self._signals, self._subscriptions, strict=True):
                win32event.ResetEvent(signal)
                try:
                    for event in win32evtlog.EvtNext(subscription, BATCH, Timeout=0):  # type: ignore[arg-type]
                        win32event.SetEvent(signal)  # there may be more
                        xml = win32evtlog.EvtRender(event, RENDER_XML)
                        events.append(Rendered(xml, self._message(event, xml)))
                except pywintypes.error as error:
                    if error.winerror not in (NO_MORE_ITEMS, TIMEOUT):
                        raise OSError(error.winerror, error.strerror) from error
            return events

        def _message(self, event: object, xml: str) -> str | None:
            """Return the text for people; None if the provider has none."""
            provider = xml.partition("<Provider Name='")[2].partition("'")[0]
            try:
                if provider not in self._providers:
                    if len(self._providers) > MOST_CHANNELS * 10:
                        self._providers.clear()
                    self._providers[provider] = None
                    self._providers[provider] = win32evtlog.EvtOpenPublisherMetadata(provider)
                metadata = self._providers[provider]
                if metadata is None:
                    return None
                text = win32evtlog.EvtFormatMessage(  # type: ignore[no-untyped-call]
                    metadata, event, FORMAT_EVENT
                )
                return str(text)
            except pywintypes.error:
                return None

        def close(self) -> None:
            """End the subscriptions: their handles close when nobody has them any more."""
            self._subscriptions.clear()
            self._providers.clear()
            self._signals.clear()
