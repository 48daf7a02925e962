"""The last day's figures for Prometheus, measured anew at intervals."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from slate.monitoring.record import Record

_FIGURE: Final = ("figure", "subject", "release_id")


class Exporter:
    """Gauges of the newest records. A figure that was not judged is absent, not 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, what: str, labels: Sequence[str] = ()) -> Gauge:
            return Gauge(name, what, labels, registry=registry)

        self._value = gauge("slate_drift", "A figure of live traffic against its release.", _FIGURE)
        self._limit = gauge("slate_drift_limit", "What the figure may reach.", _FIGURE)
        self._ratio = gauge(
            "slate_calibration_ratio", "Engagement that came over what scores promised.", ("release_id",)
        )
        self._slates = gauge("slate_monitored_slates", "Slates that were looked at.", ("release_id",))
        self._at = gauge("slate_monitor_success_timestamp_seconds", "When the log was last measured.")
        self._age = gauge("slate_release_age_seconds", "Since the stable release was made.")
        self._stale = gauge("slate_release_data_age_seconds", "Since the stable release's data ended.")

    def show(self, records: Sequence[Record], now: datetime) -> None:
        """Replace everything by these records."""
        for each in (self._value, self._limit, self._ratio, self._slates):
            each.clear()
        for record in records:
            for figure in record.measured.figures:
                if figure.value is not None:
                    labels = (figure.name, figure.subject, record.release_id)
                    self._value.labels(*labels).set(figure.value)
                    self._limit.labels(*labels).set(figure.threshold)
            self._slates.labels(record.release_id).set(record.measured.slates)
            calibration = record.measured.calibration
            if calibration is not None and calibration.ratio is not None:
                self._ratio.labels(record.release_id).set(calibration.ratio)
        self._at.set(now.timestamp())

    def stable(self, created: datetime, watermark: datetime, now: datetime) -> None:
        """How old the stable release and its data are."""
        self._age.set((now - created).total_seconds())
        self._stale.set((now - watermark).total_seconds())
