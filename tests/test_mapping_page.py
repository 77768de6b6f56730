"""What is written is what others read: a map's page in Chromium, its features in geojson-pydantic."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from mnnlite.mapping import Element, MapRules, Track, formats
from mnnlite.mapping.drive import Drive, solve_drive
from mnnlite.mapping.page import COLORS, page_of
from mnnlite.mapping.simulator import Options, simulate

# What the reader of the page may do: zoom and move. The title then says what the picture shows.
USED = """
<script>
const shown = () => document.querySelector("svg").getAttribute("viewBox") && [box.x, box.y, box.width, box.height].map(each => each.toFixed(3)).join(" ");
const frame = svg.getBoundingClientRect(), middle = { clientX: frame.left + frame.width / 2, clientY: frame.top + frame.height / 2 };
const first = shown();
svg.dispatchEvent(new WheelEvent("wheel", { deltaY: -1, cancelable: true, ...middle }));
const zoomed = shown();
svg.setPointerCapture = () => {};  // there is no real pointer to capture
svg.dispatchEvent(new PointerEvent("pointerdown", { ...middle }));
svg.dispatchEvent(new PointerEvent("pointermove", { clientX: middle.clientX + 40, clientY: middle.clientY }));
document.title = [first, zoomed, shown()].join(", ");
</script>
"""


@pytest.fixture(scope="module")
def drive() -> Drive:
    """A solved drive, with a line and an area that are made up."""
    made = simulate(4, Options(seconds=20))
    track = Track(made.log)
    track.video_start, track.video_start_sigma = made.video_start, 0.02
    solved = solve_drive(made.given, made.camera, track)
    beside = solved.path[50:150:10] + np.array([2e-5, 0])
    for shape, degrees in (("line", beside), ("area", np.concatenate([beside, solved.path[50:150:10][::-1]]))):
        first, last = float(solved.utc[50]), float(solved.utc[150])
        solved.elements.append(
            Element("lane", "", "", 1.0, shape, degrees, np.eye(2), 9, 9, first, last, drive=solved.id)
        )
    return solved


def chromium(*words: str) -> subprocess.CompletedProcess[bytes]:
    program = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if program is None:
        pytest.skip("Chromium is not installed (Debian: chromium)")
    flags = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--enable-logging=stderr",
    )
    return subprocess.run([program, *flags, *words], capture_output=True, timeout=280, check=True)


@pytest.mark.slow
def test_page__as_chromium_shows_it(drive: Drive, tmp_path: Path) -> None:
    """The way in ink, and each kind in its colour; no error of the script, and nothing is fetched."""
    page = tmp_path / "map.html"
    page.write_text(page_of(drive))
    done = chromium(
        "--window-size=1000,900", f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'map.png'}", page.as_uri()
    )  # fmt: skip
    assert b"CONSOLE" not in done.stderr, done.stderr
    picture = cv2.imread(str(tmp_path / "map.png"))
    assert picture.shape == (900, 1000, 3)
    drawing = picture[100:600].reshape(-1, 3).astype(int)  # blue, green, red
    kinds = len({(each.kind, each.shape) for each in drive.elements})
    found = 0
    for color in COLORS:
        wanted = [int(color[at : at + 2], 16) for at in (5, 3, 1)]
        found += int(np.count_nonzero((np.abs(drawing - wanted) <= 12).all(axis=1)) > 20)
    assert 2 <= found <= kinds
    assert np.count_nonzero(drawing.max(axis=1) < 200) > 300  # the way


@pytest.mark.slow
def test_page__zooms_and_moves_in_chromium(drive: Drive, tmp_path: Path) -> None:
    page = tmp_path / "map.html"
    page.write_text(page_of(drive).replace("</body>", USED + "</body>"))
    done = chromium("--window-size=1000,900", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri())
    assert b"CONSOLE" not in done.stderr, done.stderr
    title = re.search("<title>(.*?)</title>", done.stdout.decode(), re.DOTALL)
    assert title, done.stdout[:500]
    first, zoomed, moved = (np.array(each.split(), float) for each in title[1].split(","))
    np.testing.assert_allclose(zoomed[2:], first[2:] * 0.8, rtol=1e-3)  # narrower, around the middle
    np.testing.assert_allclose(zoomed[:2] + zoomed[2:] / 2, first[:2] + first[2:] / 2, atol=0.02 * first[2:].max())
    assert moved[0] < zoomed[0]  # drawn to the right, so that what is further left comes into view
    assert moved[1] == zoomed[1]


def test_features__as_geojson_pydantic_reads_them(drive: Drive) -> None:
    """Its models hold RFC 7946: types, positions, closed rings, ids."""
    import geojson_pydantic as geojson

    rules = MapRules.of({"element": [{"task": "objects", "labels": ["sign"], "size": 0.79}]})
    for written in (formats.collection(drive, proofs=True), formats.coverage(drive, rules, 60.0)):
        plain = json.loads(json.dumps(written))
        read = geojson.FeatureCollection.model_validate(plain)
        assert len(read.features) == len(plain["features"])
        again = json.loads(read.model_dump_json())
        assert [each["geometry"] for each in again["features"]] == [each["geometry"] for each in plain["features"]]
        assert [each.get("id") for each in again["features"]] == [each.get("id") for each in plain["features"]]
    shapes = {each["geometry"]["type"] for each in formats.collection(drive)["features"]}
    assert shapes == {"Point", "LineString", "Polygon"}
