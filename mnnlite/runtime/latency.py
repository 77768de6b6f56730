"""How long tasks take, learned from what is seen. Pure."""

from __future__ import annotations

__all__ = ["LatencyEstimator"]


class LatencyEstimator:
    """How long tasks take, as moving averages: devices throttle, crops come and go.

    The mean moves by 1/8 of each difference and the deviation by 1/4, as TCP estimates a round trip (RFC 6298); what is
    expected is the mean and twice the deviation. The worst forgets a tenth a run.
    """

    def __init__(self) -> None:
        self._mean: dict[str, float] = {}
        self._deviation: dict[str, float] = {}
        self._worst: dict[str, float] = {}

    def guess(self, name: str, ns: int) -> None:
        """Reckon with `ns` nanoseconds until the task has run."""
        if name not in self._mean:
            self.saw(name, ns)

    def saw(self, name: str, ns: int) -> None:
        """Learn from a run of `ns` nanoseconds."""
        mean = self._mean.get(name)
        if mean is None:
            self._mean[name], self._deviation[name], self._worst[name] = float(ns), ns / 8, float(ns)
            return
        difference = ns - mean
        self._mean[name] = mean + difference / 8
        self._deviation[name] += (abs(difference) - self._deviation[name]) / 4
        self._worst[name] = max(float(ns), self._worst[name] * 0.9, self._mean[name])

    def mean(self, name: str) -> int:
        """Nanoseconds; 0 if the task never ran."""
        return int(self._mean.get(name, 0))

    def expect(self, name: str) -> int:
        """Nanoseconds to reckon with; 0 if the task never ran."""
        return int(self._mean.get(name, 0) + 2 * self._deviation.get(name, 0))

    def worst(self, name: str) -> int:
        """Nanoseconds of the longest run of late; 0 if the task never ran."""
        return int(self._worst.get(name, 0))

    def forget(self, name: str) -> None:
        """The task is gone."""
        for table in (self._mean, self._deviation, self._worst):
            table.pop(name, None)
