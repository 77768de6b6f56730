"""gpsd's JSON: live from its socket, or as ``gpspipe -w`` wrote it to a file."""

from __future__ import annotations

import json
import math
import socket
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from mnnlite.errors import ArgumentError, SourceError
from mnnlite.mapping.logs.log import Log, columns, utc_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

__all__ = ["ADDRESS", "Gpsd", "read", "record", "row_of"]

ADDRESS = "gpsd://"  # how an address begins, where a file could be meant
PORT = 2947
LONGEST = 1 << 20  # bytes of a line: more is not gpsd
_NUMBERS = 1e12  # what is larger is none, as none of what is read is
_STATUS: dict[float, int] = {2: 2, 3: 4, 4: 5, 5: 6}  # of a TPV -> quality as in GGA


class Gpsd:
    """A live connection to gpsd. Iterating over it gives gpsd's ``TPV`` reports as dicts, in the order they come.

    Parameters
    ----------
    address : str
        ``HOST``, ``HOST:PORT`` or ``gpsd://HOST:PORT``. The default port is 2947.
    timeout_s : float
        How long to wait for a line.

    Raises
    ------
    SourceError
        Nobody listens at the address. While iterating: no line came in time, or the sender is not gpsd.
    """

    def __init__(self, address: str = "localhost", timeout_s: float = 10.0) -> None:
        host, _, port = address.removeprefix(ADDRESS).strip("/").partition(":")
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
            raise ArgumentError(f"gpsd is at {address!r}; wanted HOST or HOST:PORT")
        self.name = f"gpsd at {host or 'localhost'}:{port or PORT}"
        try:
            self._socket = socket.create_connection((host or "localhost", int(port or PORT)), timeout_s)
            self._socket.sendall(b'?WATCH={"enable":true,"json":true};\n')
        except (OSError, UnicodeError) as error:  # of a name that is no host's
            raise SourceError(f"cannot reach {self.name}: {getattr(error, 'strerror', None) or error}") from None
        self._timeout_s = timeout_s

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.until(math.inf)

    def until(self, end: float) -> Iterator[dict[str, Any]]:
        """As iterating, up to a time of `time.monotonic`, whatever gpsd writes until then."""
        waiting = b""
        while (left := end - time.monotonic()) > 0:
            try:
                self._socket.settimeout(min(self._timeout_s, left))
                received = self._socket.recv(65536)
            except OSError as error:
                if isinstance(error, TimeoutError) and left <= self._timeout_s:
                    return
                raise SourceError(f"{self.name} fell silent: {error.strerror or error}") from None
            if not received:
                return
            *lines, waiting = (waiting + received).split(b"\n")
            if len(waiting) > LONGEST:
                raise SourceError(f"{self.name} writes no lines: it is not gpsd")
            for line in lines:
                report = _report(line)
                if report is not None:
                    yield report

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _report(line: bytes) -> dict[str, Any] | None:
    if b'"TPV"' not in line:
        return None
    try:
        report = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return report if isinstance(report, dict) and report.get("class") == "TPV" else None


def row_of(report: dict[str, Any]) -> tuple[float, ...] | None:
    """UTC, latitude, longitude, height, speed, course, sigma and quality of a TPV; None without time and place.

    The deviation per axis is the root mean square of ``epx`` and ``epy``, which gpsd gives as bounds for 95 % (its man page
    gpsd_json(5)), so divided by 1.96.
    """

    def number(*names: str) -> float:
        for name in names:
            value = report.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _NUMBERS:
                return float(value)
        return math.nan

    try:
        utc = utc_of(str(report["time"]))
    except (KeyError, ValueError):
        return None
    if number("mode") < 2 or math.isnan(number("lat")) or math.isnan(number("lon")):
        return None
    sigma = math.hypot(number("epx"), number("epy")) / math.sqrt(2) / 1.96
    quality = _STATUS.get(number("status"), 1)
    height = number("altHAE") if number("mode") >= 3 else math.nan
    return utc, number("lat"), number("lon"), height, number("speed"), number("track"), sigma, quality


class _Rows:
    """Positions by their time. gpsd reports a time several times, as it comes to know more of it."""

    def __init__(self) -> None:
        self._merged: dict[float, tuple[float, ...]] = {}

    def add(self, report: dict[str, Any] | None) -> None:
        row = None if report is None else row_of(report)
        if row is not None:
            before = self._merged.get(row[0], row)
            known = [new if not math.isnan(new) else old for new, old in zip(row, before, strict=True)]
            self._merged[row[0]] = tuple(known)

    def __len__(self) -> int:
        return len(self._merged)

    def log(self, name: str) -> Log:
        if not self._merged:
            raise SourceError(f"{name} has no report (TPV) of gpsd with a time and a place in it")
        utc, latitude, longitude, height, speed, course, sigma, quality = columns(list(self._merged.values()), 8)
        unknown = np.full(len(utc), np.nan)
        return Log(
            name,
            utc,
            latitude,
            longitude,
            height,
            speed,
            course,
            sigma,
            unknown,
            quality.astype(np.int8),
            vertical="ellipsoid",
        )


def read(name: str, content: bytes) -> Log:
    """Read lines of JSON; what is no TPV with a time and a place is left out.

    Raises
    ------
    SourceError
        None of them is.
    """
    rows = _Rows()
    for line in content.splitlines():
        rows.add(_report(line))
    return rows.log(name)


def record(address: str, seconds: float | None = None, timeout_s: float = 10.0) -> Log:
    """Take down what a live gpsd reports.

    Parameters
    ----------
    address : str
        As for `Gpsd`.
    seconds : float, optional
        How long; by default until gpsd ends the connection or falls silent.
    timeout_s : float
        How long to wait for a line.

    Raises
    ------
    SourceError
        Nobody listens there, or no position came. If gpsd falls silent later, what came is kept, and a note says so.
    """
    if seconds is not None and not (isinstance(seconds, (int, float)) and 0 < seconds < math.inf):
        raise ArgumentError(f"seconds is {seconds!r}; wanted how long to listen, a number above 0")
    rows, silent = _Rows(), None
    end = math.inf if seconds is None else time.monotonic() + seconds
    with Gpsd(address, timeout_s) as live:
        try:
            for report in live.until(end):
                rows.add(report)
        except SourceError as error:
            if not len(rows):
                raise
            silent = str(error)
        log = rows.log(live.name)
    if silent is not None:
        log.notes.append(silent)
    return log
