import pytest

from keras_c2kd.export import steps


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Latencies are measured, not waited for."""
    monkeypatch.setattr(steps, "SECONDS", 0.05)
