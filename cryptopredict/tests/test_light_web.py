"""A web process stays light: no TensorFlow, and less than 150 MB after it served pages."""

import json

import pytest

from cryptopredict.tests.processes import Installation

LIMIT_MB = 150
CODE = """
import json, sys
import psutil
from django.test import Client
from markets import series
client = Client(SERVER_NAME="localhost")
paths = ["/", "/track-record/", "/method/", "/status/", "/sign-in/", "/api/v1/cryptocurrencies/"]
statuses = {path: client.get(path).status_code for path in paths}
slots = series.Columns(*[[float(place % 97) for place in range(9_000)]] * 7)
assert len(series.kept_places(slots, series.MAX_POINTS)) <= series.MAX_POINTS  # brings in the library that thins
loaded = [name for name in ("tensorflow", "keras", "tf2onnx") if name in sys.modules]
print(json.dumps({"statuses": statuses, "loaded": loaded, "mb": psutil.Process().memory_info().rss / 1e6}))
"""


@pytest.mark.slow
def test_it_serves_pages_without_tensorflow_and_within_its_memory(installation: Installation) -> None:
    installation.run("manage.py", "collectstatic", "--no-input", "--verbosity", "0", "--skip-checks")
    found = json.loads(installation.evaluate(CODE).splitlines()[-1])
    assert set(found["statuses"].values()) == {200}, found["statuses"]
    assert found["loaded"] == []
    assert found["mb"] < LIMIT_MB
