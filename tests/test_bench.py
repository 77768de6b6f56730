"""What `make bench` makes of its scripts' results: repetitions, ratios, marks, tables; and that README shows the newest data."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def loaded(checkout: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    folder = checkout / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bench(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return loaded(checkout, "bench", monkeypatch)


@pytest.fixture
def report(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return loaded(checkout, "report", monkeypatch)


def of(bench: ModuleType, contender: str, value: float, **more: Any) -> Any:
    return bench.Figure("many", "a frame", contender, value, "ms", **more)


def data_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    run = {
        "cores_used_by_others": 0.01,
        "cores_stolen": 0.0,
        "before": {"load": [0.5, 0.5, 0.5], "governor": "performance", "mhz": [2000, 2100]},
        "after": {},
    }
    versions = {"MNN": {"mnn": "1"}, "LiteRT": {"ai-edge-litert": "2"}, "ONNX Runtime": {"onnxruntime": "3"}}
    machine = {"cpu": "a CPU", "cores": 2, "memory_gib": 8, "system": "Linux", "flags": ["avx2"], "python": "3.11"}
    head = {"date": "2026-01-02", "commit": "abc", "mode": "full", "passes": 2, "complete": True, "seconds": 9}
    return {
        **head,
        "machine": machine,
        "versions": {**versions, "mnnlite": {"numpy": "4"}},
        "runs": [run],
        "rows": rows,
    }


@pytest.mark.parametrize(
    ("values", "apart"),
    [([3.0], None), ([2.0, 2.0], 0.0), ([9.0, 10.0, 11.0], 0.2), ([0.0, 0.0], 0.0), ([0.0, 0.0, 2.0], 1.0)],
)
def test_spread__is_of_the_median(bench: ModuleType, values: list[float], apart: float | None) -> None:
    assert bench.spread(values) == (apart if apart is None else pytest.approx(apart))


def test_ratio__is_above_one_where_mnnlite_wins(bench: ModuleType) -> None:
    assert bench.ratio(of(bench, "mnnlite", 10), of(bench, "MNN", 15)) == 1.5
    high = {"better": "higher"}
    assert bench.ratio(of(bench, "mnnlite", 10, **high), of(bench, "MNN", 15, **high)) == pytest.approx(2 / 3)
    assert bench.ratio(of(bench, "mnnlite", 0), of(bench, "MNN", 15)) is None


def test_rows__compare_within_a_pass(bench: ModuleType) -> None:
    # The second pass is twice as slow for both: figures are far apart, their ratios are not.
    passes = [[of(bench, "mnnlite", 10), of(bench, "LiteRT", 8)], [of(bench, "mnnlite", 20), of(bench, "LiteRT", 16)]]
    ours, theirs = bench.rows_of(passes)
    assert (ours["figure"], ours["values"], ours["noisy"], "ratio" in ours) == (15, [10, 20], True, False)
    assert (theirs["figure"], theirs["ratio"], theirs["ratio_spread"], theirs["noisy"]) == (12, 0.8, 0.0, True)


def test_rows__mark_what_is_more_than_five_percent_apart(bench: ModuleType) -> None:
    quiet, noisy = ([[of(bench, "mnnlite", 100)], [of(bench, "mnnlite", last)]] for last in (104, 106))
    assert [bench.rows_of(each)[0]["noisy"] for each in (quiet, noisy)] == [False, True]


def test_rows__have_no_ratio_where_results_differ(bench: ModuleType) -> None:
    _, theirs = bench.rows_of(
        [[of(bench, "mnnlite", 10, equal=True), of(bench, "MNN", 9, equal=False, note="boxes 9 px apart")]]
    )
    assert (theirs["equal"], theirs["note"], "ratio" in theirs) == (False, "boxes 9 px apart", False)


@pytest.mark.parametrize(
    ("code", "timeout", "failed"),
    [
        ("print('{\"a\": 1}')\nprint('the engine says goodbye')", 60, ""),
        ("raise SystemExit(f'no network in {__file__}')", 60, "ended with 1: no network in ./benchmarks/one.py"),
        ("print('nothing')", 60, "printed no result"),
        ("import time\ntime.sleep(600)", 1, "took more than 1 s"),
    ],
)
def test_run__says_how_it_went(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, timeout: float, failed: str
) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "one.py").write_text(code)
    monkeypatch.setattr(bench, "HERE", tmp_path / "benchmarks")
    made, found = bench.run(bench.Script(("many",), ("one",), (), (), lambda _: iter(())), [], 1, tmp_path, timeout)
    assert made.failed == failed
    assert found == (None if failed else {"a": 1})
    assert made.before["load"]
    assert made.after["load"]


def test_session__keeps_the_rest_where_a_result_lacks_something(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench.environments, "versions", lambda _: {})
    good = bench.Script(("many",), ("good",), (), (), lambda found: iter([of(bench, "mnnlite", found["ms"])]))
    bad = bench.Script(("native",), ("bad",), (), (), lambda found: iter([of(bench, "mnnlite", found["gone"])]))
    session = bench.Session([good, bad], "quick", tmp_path / "data.json", tmp_path)
    for script in (good, bad):
        session.add(bench.Run(script.name, [], 1), {"ms": 3.0}, script)
    rows = json.loads((tmp_path / "data.json").read_text())["rows"]
    assert [row["what"] for row in rows] == ["a frame", "bad, pass 1"]
    assert rows[0]["script"] == "good.py"
    assert "'gone'" in rows[1]["failed"]


def test_sections__have_a_script_each(bench: ModuleType) -> None:
    assert {section for each in bench.SCRIPTS for section in each.sections} | {"arm"} == set(bench.SECTIONS)
    for each in bench.SCRIPTS:
        assert each.command[0] == "-m" or (bench.HERE / f"{each.command[0]}.py").exists()


def test_counts_of_arm__are_read(bench: ModuleType) -> None:
    found = list(bench.arm(json.loads(bench.newest_counts().read_text())))
    assert {each.contender for each in found} >= {"mnnlite", "LiteRT"}


def test_report__shows_what_is_lost_and_why(bench: ModuleType, report: ModuleType) -> None:
    def network(contender: str, value: float) -> Any:
        return bench.Figure("pipeline", "net, 1 thread: the engine's call alone", contender, value, "ms", equal=True)

    rows = bench.rows_of([[network("mnnlite", 10.0), network("LiteRT", 8.0), network("MNN", 12.0)]] * 2)
    data = data_of(rows)
    data["machine"]["flags"].append("avx512f")
    text = "\n".join(report.page(data, {}))
    lost = "- net, 1 thread: the engine's call alone: 10.0 ms, LiteRT 8.00 ms (0.80)"
    assert lost in text
    assert "AVX-512" in text.split(lost)[0]
    assert "|  | MNN | 12.0 ms | 0.0 % | 1.20 | 0.0 % | yes |" in text


def test_report__calls_even_what_is_better_in_some_passes_only(bench: ModuleType, report: ModuleType) -> None:
    passes = [[of(bench, "mnnlite", 10), of(bench, "LiteRT", each)] for each in (8, 11)]
    _, theirs = bench.rows_of(passes)
    assert not report.lost(theirs)
    assert report.beside(theirs) == "LiteRT 9.50 ms† (0.95)"


def test_report__says_what_is_missing(report: ModuleType) -> None:
    data = data_of([{"section": "many", "what": "frame_time, pass 1", "failed": "ended with 1: no network"}])
    assert "- frame_time, pass 1: ended with 1: no network" in report.page(data, {})
    assert all("not measured" in line for line in report.readme_table(data)[6:])


def test_report__says_what_ran_beside_it(report: ModuleType) -> None:
    data = data_of([])
    assert "too long" not in report.measured_on(data)
    data["runs"][0]["cores_used_by_others"] = 0.7
    assert "Other work took 0.7 cores meanwhile: times are too long." in report.measured_on(data)


def test_plots__are_drawn(bench: ModuleType, report: ModuleType, tmp_path: Path) -> None:
    figures = [
        bench.Figure("many", f"eleven networks, {what}, 2 threads", contender, value, unit)
        for what, unit in (("1080p BGR to results", "ms"), ("anonymous memory after two frames", "MiB"))
        for contender, value in (("mnnlite", 10.0), ("MNN", 30.0))
    ]
    plots = report.draw(data_of(bench.rows_of([figures, figures])), tmp_path)
    assert list(plots) == ["performance-ratios.svg", "performance-many.svg"]
    assert "1080p BGR to results, 2 threads" in (tmp_path / "performance-ratios.svg").read_text()
    assert "mnnlite, 2 lanes" in (tmp_path / "performance-many.svg").read_text()


def test_readme__shows_the_newest_data(checkout: Path, report: ModuleType) -> None:
    if not list(report.DATA.glob("*.json")):
        pytest.skip("no figures of make bench-full are kept yet")
    data = json.loads(report.newest().read_text())
    for path, lines in (
        (checkout / "README.md", report.readme_table(data)),
        (checkout / "docs" / "performance.md", None),
    ):
        text = path.read_text()
        if lines is None:
            plots = dict(report.re.findall(r"!\[(.*?)\]\((performance-.*?\.svg)\)", text))
            lines = report.page(data, {name: said for said, name in plots.items()})
        assert report.between(text, lines) == text
