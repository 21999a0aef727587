"""What may go wrong between the agent and osquery."""


class OsqueryError(Exception):
    """Osquery cannot be asked, or did not give what it was asked for; says why."""


class LostError(OsqueryError):
    """There is no connection, or none any more."""


class LateError(OsqueryError):
    """Osquery did not answer in time."""


class GarbledError(OsqueryError):
    """What came is not an answer to what was asked; the connection is of no more use."""


class TooMuchError(OsqueryError):
    """The answer is larger than allowed."""


class RefusedError(OsqueryError):
    """Osquery answered that it cannot do what it was asked."""
