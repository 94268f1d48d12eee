"""What callers are promised."""

from datetime import timedelta

from pydantic import Field

from infermesh.settings.forms import Duration, Share
from infermesh.settings.section import Section


class Objective(Section):
    """What callers are promised. Alerts are about what breaks it."""

    success: Share = Field(
        default=0.999, lt=1, description="Share of the requests that do not fail by its fault, over 30 days."
    )
    latency: Duration | None = Field(
        default=None,
        description="Time within which 99 of 100 requests are answered. Without it, half of the `timeout` "
        "of those who call, so that it is known before requests are given up.",
    )

    def within(self, timeout: timedelta | None) -> timedelta | None:
        """The time in which 99 of 100 requests are answered; None where nothing is said."""
        if self.latency is not None:
            return self.latency
        return timeout / 2 if timeout else None
