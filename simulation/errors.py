"""The one exception a user is meant to read."""


class SpinforgeError(Exception):
    """Bad input or environment: names the file, field or value and what to do about it.

    The command line prints its text without a traceback; everything else that escapes is a bug.
    """


class TemporaryError(SpinforgeError):
    """What may pass by itself: a service that does not answer, a worker that was ended.

    Flows try again, a few times and later each time; nothing else is tried twice.
    """
