"""Writers of what drives are made of, independent of the readers: NMEA, GPX, a calibration, a file of measurements."""

from __future__ import annotations

import datetime as dt
import functools
import json
import operator
from pathlib import Path

import numpy as np

from mnnlite.mapping import measurements
from mnnlite.mapping.logs import Log
from mnnlite.mapping.simulator import Simulated

CALIBRATION = """\
image_width: {width}
image_height: {height}
camera_matrix: {{rows: 3, cols: 3, data: [{fx}, 0, {cx}, 0, {fy}, {cy}, 0, 0, 1]}}
distortion_model: plumb_bob
distortion_coefficients: {{rows: 1, cols: 5, data: [{lens}]}}
"""


def calibration(path: Path, width: int, height: int, focal: float, lens: tuple[float, ...] = (0, 0, 0, 0, 0)) -> Path:
    """ROS camera_info with the principal point in the middle."""
    words = ", ".join(map(str, lens))
    path.write_text(
        CALIBRATION.format(
            width=width, height=height, fx=focal, fy=focal, cx=width / 2 - 0.5, cy=height / 2 - 0.5, lens=words
        )
    )
    return path


def sentence(body: str) -> str:
    total = functools.reduce(operator.xor, body.encode())
    return f"${body}*{total:02X}\r\n"


def nmea(log: Log) -> str:
    """GGA, RMC and GST for each position."""

    def angle(value: float, digits: int, sides: str) -> str:
        degrees, minutes = divmod(abs(value) * 60, 60)
        return f"{int(degrees):0{digits}}{minutes:010.7f},{sides[int(value < 0)]}"

    lines = []
    for index, utc in enumerate(log.utc):
        moment = dt.datetime.fromtimestamp(round(utc, 3), dt.timezone.utc)
        when = moment.strftime("%H%M%S.") + f"{moment.microsecond // 1000:03}"
        place = f"{angle(log.latitude[index], 2, 'NS')},{angle(log.longitude[index], 3, 'EW')}"
        speed = "" if np.isnan(log.speed[index]) else f"{log.speed[index] * 3600 / 1852:.4f}"
        course = "" if np.isnan(log.course[index]) else f"{log.course[index]:.3f}"
        lines.append(sentence(f"GNGGA,{when},{place},1,12,0.7,{log.height[index] - 47:.3f},M,47.0,M,,"))
        lines.append(sentence(f"GNRMC,{when},A,{place},{speed},{course},{moment:%d%m%y},,,A"))
        sigma = 0.7 if np.isnan(log.sigma[index]) else log.sigma[index]
        lines.append(sentence(f"GNGST,{when},,,,,{sigma:.2f},{sigma:.2f},{1.5 * sigma:.2f}"))
    return "".join(lines)


def gpx(log: Log) -> str:
    """Track points of GPX 1.1."""
    points = "".join(
        f'<trkpt lat="{log.latitude[index]:.8f}" lon="{log.longitude[index]:.8f}"><ele>{log.height[index]:.2f}</ele>'
        f"<time>{dt.datetime.fromtimestamp(utc, dt.timezone.utc).isoformat()}</time></trkpt>"
        for index, utc in enumerate(log.utc)
    )
    return f'<?xml version="1.0"?><gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>'


def lines_of(made: Simulated, **facts: object) -> list[dict]:
    """What pass 1 would have written."""
    given = made.given
    lines = [measurements.header(given.rules, given.frame_size, **facts)]
    for frame, time in enumerate(given.time):
        rows = np.flatnonzero(given.owner == frame)
        objects = [
            [int(given.rule[row]), given.score[row], *given.box[row].tolist(), given.texts[row][0]] for row in rows
        ]
        lines.append({"f": int(given.frame[frame]), "t": float(time), "o": objects})
    return lines


def recorded(folder: Path, made: Simulated) -> tuple[Path, Path, Path]:
    """Measurements, calibration and NMEA of a simulated drive, as files."""
    measured, log = folder / "measurements.jsonl", folder / "drive.nmea"
    facts = {"begun": [made.video_start, 0.02], "pipeline": "x"}
    measured.write_text("".join(json.dumps(line) + "\n" for line in lines_of(made, **facts)))
    camera = made.camera
    file = calibration(folder / "camera.yaml", camera.width, camera.height, camera.fx, camera.coefficients)
    log.write_text(nmea(made.log))
    return measured, file, log
