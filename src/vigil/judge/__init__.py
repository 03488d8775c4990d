"""The client of the model endpoint: asks about a window and returns a Verdict."""

from vigil.judge.circuit_breaker import CircuitBreaker
from vigil.judge.endpoint import Endpoint, read_key
from vigil.judge.judge import Judge
from vigil.judge.model_client import MediaForm

__all__ = ["CircuitBreaker", "Endpoint", "Judge", "MediaForm", "read_key"]
