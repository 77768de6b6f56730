"""Readers of position logs: what they take, what they leave out, and what other programs make of the same files."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers import drives
from helpers.tracks import sentence
from mnnlite.errors import ArgumentError, SourceError
from mnnlite.mapping import Track, logs
from mnnlite.mapping.geodesy import Plane, from_ecef
from mnnlite.mapping.logs.gpsd import Gpsd


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


GGA = "GNGGA,{},4807.0380,N,01131.0000,E,1,08,0.9,545.4,M,46.9,M,,"


def test_nmea__takes_what_belongs_to_one_time(tmp_path: Path) -> None:
    text = (
        "garbage $GPGGA,1,2*00\r\n"
        + sentence(GGA.format("123519.00"))
        + sentence("GPRMC,123519.00,A,4807.0380,N,01131.0000,E,022.4,084.4,230394,003.1,W")
        + sentence("GPVTG,084.5,T,,M,022.5,N,041.7,K")
        + sentence("GPGST,123519.00,1.0,2.0,1.0,0,3.0,4.0,5.0")
        + sentence(GGA.format("123520.00")).replace("4807", "4907")  # its checksum is wrong now
    )
    log = logs.read(write(tmp_path, "drive.nmea", text))
    assert len(log.utc) == 1
    assert log.utc[0] == dt.datetime(1994, 3, 23, 12, 35, 19, tzinfo=dt.timezone.utc).timestamp()
    assert (log.latitude[0], log.longitude[0]) == pytest.approx((48.1173, 11.5166667))
    assert log.height[0] == pytest.approx(545.4 + 46.9)
    assert log.vertical == "ellipsoid"
    assert (log.speed[0], log.course[0]) == pytest.approx((41.7 / 3.6, 84.5))
    assert log.sigma[0] == pytest.approx(math.sqrt((9 + 16) / 2))


def test_nmea__goes_over_midnight_with_and_without_dates(tmp_path: Path) -> None:
    times = ["235958.50", "235959.50", "000000.50", "000001.50"]
    zda = sentence("GPZDA,235958.50,31,12,2025,00,00")
    log = logs.read(write(tmp_path, "a.nmea", zda + "".join(sentence(GGA.format(each)) for each in times)))
    assert np.diff(log.utc).tolist() == [1, 1, 1]
    assert log.utc[-1] == dt.datetime(2026, 1, 1, 0, 0, 1, 500000, dt.timezone.utc).timestamp()
    # The date comes only after midnight: those before are of the day before.
    late = "".join(sentence(GGA.format(each)) for each in times) + sentence("GPZDA,000001.50,01,01,2026,00,00")
    np.testing.assert_array_equal(logs.read(write(tmp_path, "b.nmea", late)).utc, log.utc)
    bare = write(tmp_path, "c.nmea", "".join(sentence(GGA.format(each)) for each in times))
    with pytest.raises(SourceError, match="no date"):
        logs.read(bare)
    np.testing.assert_array_equal(logs.read(bare, dt.date(2025, 12, 31)).utc, log.utc)


def test_nmea__without_a_fix(tmp_path: Path) -> None:
    void = sentence("GPRMC,123519.00,V,,,,,,,230394,,")
    with pytest.raises(SourceError, match="no fix"):
        logs.read(write(tmp_path, "void.nmea", void))
    lost = sentence(GGA.format("123519.00").replace(",E,1,", ",E,0,")) + sentence("GPZDA,123519.00,01,01,2026,00,00")
    with pytest.raises(SourceError, match="no fix"):
        logs.read(write(tmp_path, "lost.nmea", lost))


def test_gpx__points_with_times(tmp_path: Path) -> None:
    points = "".join(
        f'<trkpt lat="48.{index:04}" lon="11.5"><ele>500</ele>{when}</trkpt>'
        for index, when in enumerate(
            ["<time>2026-02-03T10:00:00Z</time>", "", "<time>2026-02-03T12:00:01+02:00</time>"]
        )
    )
    gpx = f'<?xml version="1.0"?><gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>'
    log = logs.read(write(tmp_path, "a.gpx", gpx))
    assert np.diff(log.utc).tolist() == [1.0]
    assert log.notes == ["1 points without a time are left out"]
    with pytest.raises(SourceError, match="no times"):
        logs.read(write(tmp_path, "b.gpx", gpx.replace("<time>", "<!-- ").replace("</time>", " -->")))
    with pytest.raises(SourceError, match="not GPX"):
        logs.read(write(tmp_path, "c.gpx", gpx[:150]))


def test_csv__units_and_imu(tmp_path: Path) -> None:
    text = (
        "Timestamp;Lat;Lon;Speed_kmh;Bearing;gyro_x;gyro_y;gyro_z;accel_x;accel_y;accel_z\n"
        "2026-02-03T10:00:00Z;48.1;11.5;36;370;;;;;;\n"
        "2026-02-03T10:00:00.01Z;;;;;0.1;0.2;0.3;0;0;9.8\n"
        "1770112801;48.1001;11.5;37;11;;;;;;\n"
    )
    log = logs.read(write(tmp_path, "a.csv", text))
    assert log.speed.tolist() == pytest.approx([10.0, 37 / 3.6])
    assert log.course.tolist() == [10.0, 11.0]
    assert np.diff(log.utc).tolist() == [1.0]
    assert log.gyro[0, 1:].tolist() == [0.1, 0.2, 0.3]
    assert log.accelerometer[0, 3] == 9.8
    gps = logs.read(write(tmp_path, "b.csv", "gps_time,lat,lon\n1770112818,48.1,11.5\n"))
    assert gps.utc[0] == 1770112800.0  # GPS time is 18 s ahead
    with pytest.raises(SourceError, match="no column longitude; its columns are time, lat, x"):
        logs.read(write(tmp_path, "c.csv", "time,lat,x\n1,2,3\n"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"hello", "no log that is known"),
        (b"DEVC", "no GPMF"),
        (b"# Name: gr701w, ublox 7\n\xb5b\x01\x03\x10\x00", "binary protocol"),
        (b"utc,lat,lon\n1,120,48\n2,121,48\n", "swapped"),
    ],
)
def test_read__says_why_not(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        logs.read(write(tmp_path, "log", content))
    with pytest.raises(SourceError, match="cannot read"):
        logs.read(tmp_path / "none")


def test_plane__there_and_back_and_true_to_the_ellipsoid() -> None:
    rng = np.random.default_rng(3)
    for latitude, longitude in ((48.1, 11.5), (-33.9, 179.99), (64.1, -21.9), (0.1, 0.0)):
        plane = Plane(latitude, longitude)
        places = rng.uniform(-20_000, 20_000, (50, 2))
        degrees = plane.to_degrees(places)
        np.testing.assert_allclose(plane.to_plane(degrees[:, 0], degrees[:, 1]), places, atol=1e-6)
        near = plane.to_degrees(places + np.array([30.0, 40.0]))
        apart = np.linalg.norm(to_ecef(degrees) - to_ecef(near), axis=1)
        np.testing.assert_allclose(apart, 50.0, atol=50 * 1e-5)
        np.testing.assert_allclose(from_ecef(to_ecef(degrees))[:, :2], degrees, atol=1e-10)


def to_ecef(degrees: np.ndarray) -> np.ndarray:
    a, e2 = 6378137.0, 0.00669437999014
    lat, lon = np.radians(degrees).T
    n = a / np.sqrt(1 - e2 * np.sin(lat) ** 2)
    return np.column_stack([n * np.cos(lat) * np.cos(lon), n * np.cos(lat) * np.sin(lon), n * (1 - e2) * np.sin(lat)])


def test_gpmf__as_gopro_telemetry_reads_it() -> None:
    log = logs.read(drives.drive("gpmf/hero5.raw"))
    said = json.loads(drives.drive("gpmf/karma_mergedGps.json").read_text())["1"]["streams"]["GPS5"]["samples"]
    assert len(log.utc) == len(said)
    np.testing.assert_allclose(
        np.column_stack([log.latitude, log.longitude]), [each["value"][:2] for each in said], atol=1e-7
    )
    np.testing.assert_allclose(
        np.column_stack([log.height, log.speed]), [each["value"][2:4] for each in said], atol=1e-3
    )
    moments = [logs.log.utc_of(each["date"]) for each in said]
    np.testing.assert_allclose(log.utc, moments, atol=0.015)
    assert log.hdop[0] == said[0]["sticky"]["precision"] / 100
    assert len(log.gyro) > 300


@pytest.mark.parametrize("name", ["hero5", "hero7", "hero11"])
def test_gpmf__as_exiftool_reads_it(name: str, tmp_path: Path) -> None:
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    raw = drives.drive(f"gpmf/{name}.raw")
    log = logs.read(raw)
    # exiftool reads GPMF from the GoPro segments of a JPEG (APP6), which hold 64 KiB.
    (part, *_) = logs.gpmf.payloads_of(raw.read_bytes())
    if len(part) > 65000:
        pytest.skip("the payload is larger than a JPEG segment")
    jpeg = b"\xff\xd8\xff\xe6" + (len(part) + 8).to_bytes(2, "big") + b"GoPro\0" + part + b"\xff\xd9"
    found = subprocess.run(
        ["exiftool", "-ee", "-n", "-a", "-GPSLatitude", "-GPSLongitude", "-s", "-s", "-s", "-p", "$GPSLatitude $GPSLongitude", "-"],
        input=jpeg, capture_output=True, check=False,
    )  # fmt: skip
    said = np.array([line.split() for line in found.stdout.decode().splitlines()], float)
    assert len(said), found.stderr
    first = log.utc < log.utc[0] + 1.05
    places = np.column_stack([log.latitude, log.longitude])[first]
    for place in said:
        assert np.abs(places - place).max(axis=1).min() < 1e-7


@pytest.mark.parametrize("name", ["quectel-l76k-nmea", "ublox-neo-m9n-nmea"])
def test_nmea__as_gpsd_reads_it(name: str) -> None:
    """The .log against what gpsd's own test suite holds to be right (.chk), read as gpsd's JSON."""
    own, theirs = logs.read(drives.drive(f"nmea/{name}.log")), logs.read(drives.drive(f"nmea/{name}.log.chk"))
    common, mine, other = np.intersect1d(np.round(own.utc, 3), np.round(theirs.utc, 3), return_indices=True)
    assert len(common) > 0.9 * len(theirs.utc)
    np.testing.assert_allclose(own.latitude[mine], theirs.latitude[other], atol=2e-9)
    np.testing.assert_allclose(own.longitude[mine], theirs.longitude[other], atol=2e-9)
    height = np.isfinite(own.height[mine]) & np.isfinite(theirs.height[other])
    np.testing.assert_allclose(own.height[mine][height], theirs.height[other][height], atol=0.01)
    speed = np.isfinite(own.speed[mine]) & np.isfinite(theirs.speed[other])
    np.testing.assert_allclose(own.speed[mine][speed], theirs.speed[other][speed], atol=0.01)


def serve(lines: list[bytes]) -> int:
    server = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        client, _ = server.accept()
        with server, client:
            client.recv(1000)  # what a client asks for; unread it would break the connection
            for line in lines:
                client.sendall(line[: len(line) // 2])
                client.sendall(line[len(line) // 2 :])

    threading.Thread(target=work, daemon=True).start()
    return int(server.getsockname()[1])


def test_gpsd__live_reports_in_pieces() -> None:
    report = {"class": "TPV", "mode": 3, "time": "2026-02-03T10:00:00.000Z", "lat": 48.1, "lon": 11.5, "altHAE": 500.0}
    lines = [b'{"class":"VERSION"}\n', json.dumps(report).encode() + b"\n", b'{"class":"TPV", broken\n']
    with Gpsd(f"gpsd://127.0.0.1:{serve(lines)}", timeout_s=5) as live:
        assert list(live) == [report]
    with pytest.raises(SourceError, match="cannot reach"):
        Gpsd("127.0.0.1:1", timeout_s=1)
    with pytest.raises(ArgumentError, match="HOST"):
        Gpsd("127.0.0.1:port")


def tpv(second: int, **more: object) -> bytes:
    report = {
        "class": "TPV", "mode": 3, "time": f"2026-02-03T10:00:{second:02d}.000Z", "lat": 48.1 + 1e-4 * second, "lon": 11.5, **more
    }  # fmt: skip
    return json.dumps(report).encode() + b"\n"


def test_track__of_a_live_gpsd() -> None:
    """What it reports until it ends the connection, each time once with all that came to be known of it."""
    lines = [each for second in range(20) for each in (tpv(second), tpv(second, speed=11.1, track=0.0))]
    track = Track.load(f"gpsd://127.0.0.1:{serve(lines)}")
    assert track.end - track.start == 19
    assert np.isfinite(track.log.speed).all()
    assert track.pose(track.start + 10).position[0] == pytest.approx(48.101, abs=2e-6)
    with pytest.raises(SourceError, match="no report"):
        Track.load(f"gpsd://127.0.0.1:{serve([b'{}'])}")
    for seconds in (0, -1, math.nan, "2"):
        with pytest.raises(ArgumentError, match="wanted how long to listen"):
            Track.load("gpsd://127.0.0.1", seconds=seconds)


@contextlib.contextmanager
def two_reports(more: bytes = b"") -> Iterator[str]:
    """The address of a gpsd that sends two positions, then `more` again and again, and does not end the connection."""
    done = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        client, _ = server.accept()
        with server, client:
            client.recv(1000)
            client.sendall(tpv(0) + tpv(1))
            while not done.wait(0.02):
                client.sendall(more)

    threading.Thread(target=work, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        done.set()


@pytest.mark.parametrize("more", [b"", b'{"class":"SKY"}\n'])
def test_track__of_a_live_gpsd_ends_in_time(more: bytes) -> None:
    """Though it goes on, with lines that are no positions, or says nothing more."""
    with two_reports(more) as address:
        log = logs.read(f"gpsd://{address}", seconds=0.3)
    assert len(log.utc) == 2
    assert log.notes == []


def test_gpsd__reports_that_make_no_sense() -> None:
    for key in ("status", "mode", "speed", "altHAE"):
        for value in ("x", [1], {}, None, math.nan, math.inf, 10**400, True):
            row = logs.gpsd.row_of(json.loads(tpv(0, **{key: value})))
            assert row is None or (row[1], row[7]) == (48.1, 1), (key, value)


@pytest.mark.parametrize("address", ["gpsd://localhost:²", "gpsd://localhost:65536", "localhost:0", "[::1]:2947"])
def test_gpsd__addresses_that_are_none(address: str) -> None:
    with pytest.raises(ArgumentError, match="wanted HOST or HOST:PORT"):
        Gpsd(address)
    with pytest.raises(SourceError, match=r"cannot reach gpsd at a\.\.b:2947"):
        Gpsd("gpsd://a..b")


def test_track__of_a_gpsd_that_falls_silent_is_what_came() -> None:
    with two_reports() as address:
        log = logs.gpsd.record(address, timeout_s=0.2)
    assert len(log.utc) == 2
    assert any("fell silent" in note for note in log.notes)


@pytest.mark.slow
def test_gpsd__live_from_gpsfake() -> None:
    if shutil.which("gpsfake") is None:
        pytest.skip("gpsfake is not installed (Debian: gpsd-clients)")
    log = drives.drive("nmea/ublox-neo-m9n-nmea.log")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    fake = subprocess.Popen(
        ["gpsfake", "-q", "-P", str(port), "-c", "0.02", str(log)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(50):
            try:
                live = Gpsd(f"127.0.0.1:{port}", timeout_s=5)
                break
            except SourceError:
                time.sleep(0.1)
        else:
            pytest.skip("gpsfake did not begin to listen here")
        with live:
            reports = [each for each, _ in zip(live, range(10), strict=False)]
        track = Track.load(f"gpsd://127.0.0.1:{port}", seconds=2)
    finally:
        fake.terminate()
        fake.wait(300)
    rows = [row for row in map(logs.gpsd.row_of, reports) if row is not None]
    assert rows
    assert (rows[0][1], rows[0][2]) == pytest.approx((38.110494, -122.626897), abs=1e-4)
    own = logs.read(log)  # the receiver stands on a desk
    assert (track.log.latitude[0], track.log.longitude[0]) == pytest.approx(
        (own.latitude[0], own.longitude[0]), abs=1e-4
    )
