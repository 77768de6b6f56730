"""What runs in the child process of a trial."""

from __future__ import annotations

import json
import resource
from typing import Any

import numpy as np

from mnnlite import _core
from mnnlite.errors import MnnliteError
from mnnlite.model import Model

__all__ = ["run_trial"]


def run_trial(request: dict[str, Any]) -> None:
    """In the child of a trial: load a model as it is asked, run it on two inputs, print what came of it as one line."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    options = dict(request["options"])
    images = [_core.ImageHint(**image) for image in options.pop("images")]
    answer: dict[str, Any] = {}
    try:
        with Model(
            request["model"],
            external=request.get("external"),
            outputs=options["outputs"],
            shapes=options["shapes"],
            resizable=options["resizable"],
            _images=images,
            **options["arena"],
        ) as model:
            rng = np.random.default_rng(0)
            for make in (lambda shape: np.full(shape, 0.46875), rng.random):
                for name in model.inputs:
                    view = model.input(name)
                    view[...] = make(view.shape).astype(view.dtype)
                model.run(borrow=True)
    except MnnliteError as error:
        answer = {"error": type(error).__name__, "text": str(error), "op": error.op, "details": error.details}
    print("\n" + json.dumps(answer, default=str))
