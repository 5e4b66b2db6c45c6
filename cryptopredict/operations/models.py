"""What background jobs did: one row for each run of a task."""

from typing import ClassVar

from django.conf import settings
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
        QUARANTINED = "quarantined", "Quarantined"
        CANCELLED = "cancelled", "Cancelled"

    task_id = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120, db_index=True)
    arguments = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    deliveries = models.PositiveIntegerField(default=0, help_text="How often a worker took it up.")
    result = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    queue = models.CharField(max_length=60, blank=True)
    is_cancel_requested = models.BooleanField("cancel requested", default=False)
    queued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+",
        help_text="Empty when the schedule or another job queued it.",
    )  # fmt: skip

    class Meta:
        ordering: ClassVar[tuple[str, ...]] = ("-queued_at", "-id")

    def __str__(self) -> str:
        return f"{self.name} {self.state}"


class Heartbeat(models.Model):
    """The last sign of life of one long-running process: a worker or beat."""

    class Kind(models.TextChoices):
        WORKER = "worker", "Worker"
        BEAT = "beat", "Beat"

    name = models.CharField(max_length=200, unique=True, help_text="As Celery names it, with its host.")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=60, blank=True)
    queues = models.JSONField(default=list, blank=True)
    busy_with = models.JSONField(default=list, blank=True, help_text="The task ids that it is working on.")
    started_at = models.DateTimeField()
    at = models.DateTimeField(help_text="When it last gave a sign.")

    class Meta:
        ordering: ClassVar[tuple[str, ...]] = ("kind", "name")

    def __str__(self) -> str:
        return self.name

    @property
    def label(self) -> str:
        """Its name without its host, which is nobody's business on a public page."""
        return self.name.partition("@")[0]


class AuditEntry(models.Model):
    """One action of staff, written once: the database itself refuses to change or delete it."""

    at = models.DateTimeField(default=timezone.now, editable=False)
    # No foreign key: the entry must outlive the account.
    actor_id = models.BigIntegerField(null=True, editable=False)
    actor = models.CharField(max_length=254, editable=False, help_text="The account's address at that time.")
    action = models.CharField(max_length=60, editable=False)
    target = models.CharField(max_length=200, blank=True, editable=False)
    reason = models.CharField(max_length=300, blank=True, editable=False)
    detail = models.JSONField(default=dict, blank=True, editable=False)
    channel = models.CharField(
        max_length=10, editable=False, choices=[(name, name) for name in ("page", "api", "admin")]
    )

    class Meta:
        verbose_name_plural = "audit entries"
        ordering: ClassVar[tuple[str, ...]] = ("-at", "-id")
        indexes = (models.Index(fields=["action", "-at"], name="audit_action_at"),)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor} {self.action} {self.target}"
