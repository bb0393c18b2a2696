"""Runs checks side by side, so that none can stop or hold up the others."""

import threading
import time
from collections.abc import Callable, Iterable

from spinforge.flows.doctor.finding import Finding, Place

Check = Callable[[Place], Iterable[Finding]]
"""Looks at one thing, changes nothing, and says what it found."""

_LIMIT_S = 90.0


def examine(place: Place, checks: Iterable[Check], *, limit_s: float = _LIMIT_S) -> list[Finding]:
    """Run all checks at the same time; what they found, in their order.

    Args:
        place: What is examined.
        checks: What is looked at.
        limit_s: After which a check is given up; --deep has no limit.
    """
    running = [_Running(check, place) for check in checks]
    ends = time.monotonic() + limit_s
    for check in running:
        check.thread.join(None if place.deep else max(0.0, ends - time.monotonic()))
    return [finding for check in running for finding in check.answer(limit_s)]


class _Running:
    """One check in a thread of its own, which a file server that hangs does not hold up."""

    def __init__(self, check: Check, place: Place) -> None:
        self.name = check.__name__.replace("_", " ")
        self.findings: list[Finding] = []
        self.thread = threading.Thread(target=self._run, args=(check, place), daemon=True)
        self.thread.start()

    def _run(self, check: Check, place: Place) -> None:
        try:
            self.findings.extend(check(place))
        except BaseException as error:  # noqa: BLE001  the doctor never dies of what it finds
            said = _shown(error)
            remedy = "what it looks at may be damaged; the other checks hold"
            what = f"the check itself failed: {said}"
            self.findings.append(Finding(self.name, "problem", what, remedy))

    def answer(self, limit_s: float) -> list[Finding]:
        if not self.thread.is_alive():
            return self.findings
        what = f"no answer within {limit_s:.0f} s"
        remedy = "a disk or server that it asks hangs: mount, df -h"
        return [*self.findings, Finding(self.name, "problem", what, remedy)]


def _shown(error: BaseException) -> str:
    """An error in one line, without the secrets of addresses."""
    try:
        from spinforge.datasets.storage.addresses import redacted
    except ImportError:
        return type(error).__name__
    return redacted(" ".join(f"{type(error).__name__}: {error}".split()))[:300]
