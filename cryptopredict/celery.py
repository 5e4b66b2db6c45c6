"""The Celery application; its settings are the CELERY_ ones of Django's settings."""

import os

from kombu.transport import TRANSPORT_ALIASES

from cryptopredict.operations.broker import Application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cryptopredict.settings")

# kombu reads no import path out of an address, so the broker on local disk gets a name of its own: disk://
TRANSPORT_ALIASES["disk"] = "cryptopredict.operations.diskbroker:Transport"

app = Application("cryptopredict", task_cls="cryptopredict.operations.jobs:Job")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
