"""The loss curve of a training, kept in the model's own row while it runs so that a page can draw it live."""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from predictions.models import TrainedModel

# What is trained one after the other: the recipe and its linear head on all but the held-out days, then the model.
STAGES = {"validation": "LSTM without the held-out days", "linear": "Linear head beside it", "final": "Final model"}
SAVED_EVERY_SECONDS = 0.5

Tell = Callable[[str], None]


def epoch_ends(points: Sequence[Sequence[float]]) -> list[tuple[int, float]]:
    """The mean loss of each epoch that is over."""
    return [(round(epoch), loss) for epoch, loss in points if math.isclose(epoch, round(epoch), abs_tol=1e-3)]


class LossCurve:
    """Notes the loss of each stage as [epoch, mean loss of that epoch so far], and how many epochs are done of all.

    `tell` gets a line at the end of each epoch. State is kept after each epoch under MODELS_DIR, so a training that
    was killed and is begun again by the same model goes on from there, and the curve says so.
    """

    def __init__(
        self, model: TrainedModel, *, epochs: int, tell: Tell | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model, self._epochs, self._tell, self._clock = model, epochs, tell, clock
        self._saved_at = -math.inf
        self._points: dict[str, list[list[float]]] = model.metrics.setdefault("curve", {})
        self._resumed: list[dict[str, Any]] = model.metrics.setdefault("resumed", [])
        model.total = epochs * len(STAGES)

    @property
    def folder(self) -> Path:
        return Path(settings.MODELS_DIR) / "checkpoints" / self._model.version

    def options(self, stage: str) -> dict[str, Any]:
        """What `train` needs to tell its progress and to keep its state."""
        is_first = True

        def note(done: float, loss: float) -> None:
            nonlocal is_first
            if is_first:
                self._begin(stage, math.ceil(done * self._epochs) - 1)
                is_first = False
            self._note(stage, done * self._epochs, loss)

        return {"progress": note, "checkpoints": self.folder / stage}

    def forget_state(self) -> None:
        """What was kept for a training that is killed is of no use once it has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self, stage: str, epochs_behind: int) -> None:
        kept = [point for point in self._points.get(stage, []) if point[0] <= epochs_behind]
        self._points[stage] = kept
        if epochs_behind:
            self._resumed.append({"stage": stage, "epoch": epochs_behind})
            self._say(f"{STAGES[stage]}: goes on after epoch {epochs_behind} of {self._epochs}")

    def _note(self, stage: str, epoch: float, loss: float) -> None:
        self._points[stage].append([round(epoch, 3), round(loss, 6)])
        is_whole = math.isclose(epoch, round(epoch), abs_tol=1e-6)
        if is_whole:
            self._say(f"{STAGES[stage]}: epoch {round(epoch)} of {self._epochs}, loss {loss:.4f}")
        if is_whole or self._clock() - self._saved_at >= SAVED_EVERY_SECONDS:
            self._saved_at = self._clock()
            self._model.done = list(STAGES).index(stage) * self._epochs + math.floor(epoch + 1e-6)
            self._model.save(update_fields=["metrics", "done", "total"])

    def _say(self, line: str) -> None:
        if self._tell is not None:
            self._tell(line)
