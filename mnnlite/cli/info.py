"""``mnnlite info``: versions, engine, backends and CPU, for a bug report or to see what a device can do."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mnnlite
from mnnlite import _build, _core
from mnnlite.arena import Arena
from mnnlite.cli.output import Output, columns
from mnnlite.engine_options import BACKEND_WORDS
from mnnlite.errors import MnnliteError

if TYPE_CHECKING:
    import argparse

# Of the many flags of /proc/cpuinfo, those that decide how fast networks run.
_FEATURES = {
    *("ssse3", "sse4_1", "avx", "avx2", "fma", "f16c"),
    *("avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8"),
    *("neon", "asimd", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
}


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command is and takes."""
    parser.description = "Show versions, engine, usable backends and their devices, and CPU."
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=_run)


def facts() -> dict[str, Any]:
    """Collect what there is to say about this installation and machine."""
    model, features = _cpu()
    return {
        "mnnlite": mnnlite.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "engine": {
            "version": _core.engine_version(),
            "path": _core.engine_path(),
            "provider": _build.PROVIDER,
            "string_abi": {0: "old", 1: "new"}[_core.string_abi()],
        },
        "backends": {name: _backend(name) for name in BACKEND_WORDS["backend"]},
        "cpu": {
            "machine": platform.machine(),
            "model": model,
            "cores": os.cpu_count(),
            "features": features,
        },
        "instruction_sets": {"available": _core.cpu_isas(), "active": _core.active_isa()},
        "extras": {"video": _version("av"), "cli": _version("rich"), "plot": _version("matplotlib")},
    }


def _backend(name: str) -> dict[str, Any]:
    """Whether the engine has it and finds a driver, or why not; with what it would compute."""
    found: dict[str, Any] = {"usable": True, "devices": []}
    try:
        devices, _ = _core.gpu_devices(name)
        found["devices"] = [dict(zip(("name", "version", "driver"), each, strict=True)) for each in devices]
        with Arena(backend=name) as arena:
            found["half_floats"] = arena.native.has_half
    except MnnliteError as error:
        found |= {"usable": False, "why": str(error)}
    return found


def _backend_line(name: str, found: dict[str, Any]) -> str:
    if not found["usable"]:
        return f"{name}: no, {found['why']}"
    devices = "; ".join(" ".join(device.values()) for device in found["devices"])
    half = (
        ""
        if not found["half_floats"]
        else ", half floats with precision low"
        if name == "cpu"
        else ", half floats but with precision high"
    )
    return f"{name}: yes{': ' + devices if devices else ''}{half}"


def _cpu() -> tuple[str, list[str]]:
    fields: dict[str, str] = {}
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    part = fields.get("CPU part")  # ARM gives numbers: implementer 0x41, part 0xd0b is a Cortex-A76
    named = f"implementer {fields.get('CPU implementer', '?')}, part {part}" if part else platform.processor()
    return fields.get("model name") or named or "unknown", sorted(flags & _FEATURES)


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _run(args: argparse.Namespace, output: Output) -> int:
    known = facts()
    if args.json:
        output.json(known)
        return 0
    engine, cpu, sets = known["engine"], known["cpu"], known["instruction_sets"]
    rows = [
        ("mnnlite", known["mnnlite"]),
        ("python", f"{known['python']}, numpy {known['numpy']}"),
        ("engine", f"MNN {engine['version']} ({engine['provider']}, {engine['string_abi']} string ABI)"),
        ("", engine["path"]),
        *(("backend", _backend_line(name, found)) for name, found in known["backends"].items()),
        ("cpu", f"{cpu['model']} ({cpu['machine']}), {cpu['cores']} cores"),
        ("features", " ".join(cpu["features"]) or "none that matter"),
        ("instruction sets", f"{', '.join(sets['available'])}; active: {sets['active']}"),
        *((f"extra {name}", version or "not installed") for name, version in known["extras"].items()),
    ]
    output.text(*columns(rows))
    return 0
