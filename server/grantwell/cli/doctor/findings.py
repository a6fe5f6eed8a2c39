"""What the doctor finds: each check with its outcome, whom it keeps out, and what cures it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check. `affects` names the clients that it keeps out; empty is every one."""

    step: str
    outcome: Outcome
    text: str
    cure: str
    affects: tuple[str, ...]


class Report:
    """Collects findings in the order of the checks, and tells each to a listener at once."""

    def __init__(self, listener: Callable[[Finding], None]) -> None:
        self._listener = listener
        self._step = ""
        self.findings: list[Finding] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """The findings inside belong to this step."""
        before, self._step = self._step, name
        try:
            yield
        finally:
            self._step = before

    def ok(self, text: str, *, affects: tuple[str, ...] = ()) -> None:
        """A check that passed."""
        self._add("ok", text, "", affects)

    def warn(self, text: str, cure: str, *, affects: tuple[str, ...] = ()) -> None:
        """Something that works, but not for long, not for all, or less safely than it could."""
        self._add("warning", text, cure, affects)

    def fail(self, text: str, cure: str, *, affects: tuple[str, ...] = ()) -> None:
        """Something that keeps clients out, or lets in whom it should not."""
        self._add("failed", text, cure, affects)

    def skip(self, text: str, *, affects: tuple[str, ...] = ()) -> None:
        """A check that was not made, and why."""
        self._add("skipped", text, "", affects)

    def check(self, passed: bool, text: str, failure: str, cure: str, *, affects: tuple[str, ...] = ()) -> bool:
        """One check that passes or fails; returns whether it passed."""
        if passed:
            self.ok(text, affects=affects)
        else:
            self.fail(failure, cure, affects=affects)
        return passed

    def verdict(self, client: str) -> Outcome:
        """How a client fares: the worst of what concerns it."""
        outcomes = {f.outcome for f in self.findings if not f.affects or client in f.affects}
        return next((worst for worst in ("failed", "warning") if worst in outcomes), "ok")

    @property
    def failed(self) -> bool:
        """Whether some check failed."""
        return any(finding.outcome == "failed" for finding in self.findings)

    def _add(self, outcome: Outcome, text: str, cure: str, affects: tuple[str, ...]) -> None:
        finding = Finding(step=self._step, outcome=outcome, text=text, cure=cure, affects=affects)
        self.findings.append(finding)
        self._listener(finding)
