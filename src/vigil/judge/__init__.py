"""The judge: the one client of the endpoint. It asks about a window and returns a Verdict."""

from vigil.judge.breaker import CircuitBreaker
from vigil.judge.client import Judge
from vigil.judge.endpoint import Endpoint, read_key
from vigil.judge.prompt import MediaForm

__all__ = ["CircuitBreaker", "Endpoint", "Judge", "MediaForm", "read_key"]
