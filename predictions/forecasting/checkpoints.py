"""The state of a training run after each epoch, so that a killed run goes on where it was."""

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FILE = "state.npz"


class Checkpoints:
    """One file in a folder: every variable of network and optimiser, dropout's generator included.

    A state is taken up only by a run with the same `identity` (recipe, data, seed and start); any other, and
    a damaged one, is ignored.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self._file = Path(folder) / FILE
        self._identity = json.dumps(identity, sort_keys=True, default=str)

    def keep(self, variables: Sequence[Any], losses: Sequence[float]) -> None:
        """Writes the state after an epoch, whole or not at all."""
        arrays = {f"v{i}": np.asarray(variable) for i, variable in enumerate(variables)}
        data = io.BytesIO()
        np.savez(data, identity=np.array(self._identity), losses=np.array(losses, dtype=float), **arrays)  # type: ignore[arg-type]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(f".{os.getpid()}")
        draft.write_bytes(data.getvalue())
        os.replace(draft, self._file)

    def resume(self, variables: Sequence[Any]) -> list[float]:
        """Puts a kept state into the variables; returns the losses of the epochs that it has behind it."""
        try:
            with np.load(self._file, allow_pickle=False) as kept:
                if str(kept["identity"]) != self._identity:
                    return []
                arrays = [kept[f"v{i}"] for i in range(len(variables))]
                losses = [float(loss) for loss in kept["losses"]]
        except Exception:  # absent or damaged, in any of the ways numpy and zipfile know: start afresh
            return []
        if any(array.shape != tuple(variable.shape) for array, variable in zip(arrays, variables, strict=True)):
            return []
        for array, variable in zip(arrays, variables, strict=True):
            variable.assign(array)
        return losses
