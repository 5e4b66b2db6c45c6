"""What background jobs did: one row for each run of a task."""

from typing import ClassVar

from django.db import models
from django.utils import timezone


class TaskRun(models.Model):
    """One task from the moment it was queued to its end."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        RETRIED = "retried", "Waiting to be retried"

    task_id = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120, db_index=True)
    arguments = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    deliveries = models.PositiveIntegerField(default=0, help_text="How often a worker took it up.")
    result = models.TextField(blank=True)
    traceback = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[tuple[str, ...]] = ("-queued_at", "-id")

    def __str__(self) -> str:
        return f"{self.name} {self.state}"
