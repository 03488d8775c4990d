import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
LIMITS = {"timeout", "timeout_s", "within_s"}
WAITS = {"wait", "join", "result", "communicate"}
CLOCKS = {"clock", "hands", "server", "pacer"}
"""What waits by a clock of the test, which takes no time."""

ASKS = {"get", "post", "put", "delete", "request", "stream", "Client"}
FILES = [path for path in sorted(TESTS.rglob("*.py")) if "gpu" not in path.parts and path.name != "waiting.py"]


def calls(text: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))


def own_limits(text: str) -> list[str]:
    """Calls that give up after seconds of their own, a second or more, or after the five of httpx."""
    return [ast.unparse(call) for call in calls(text) if _is_bounded(call) or _goes_by_httpx(call)]


def _is_bounded(call: ast.Call) -> bool:
    if _makes_settings(call):
        return False
    bounds = [word.value for word in call.keywords if word.arg in LIMITS]
    if isinstance(call.func, ast.Attribute) and call.func.attr in WAITS and ast.unparse(call.func.value) not in CLOCKS:
        bounds += call.args
    return any(
        isinstance(bound, ast.Constant) and isinstance(bound.value, int | float) and bound.value >= 1
        for bound in bounds
    )


def _makes_settings(call: ast.Call) -> bool:
    """A rule has a `within_s` too, which nobody waits for."""
    name = ast.unparse(call.func)
    return name == "replace" or name.endswith("Settings")


def _goes_by_httpx(call: ast.Call) -> bool:
    func = call.func
    is_httpx = isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == "httpx"
    return is_httpx and func.attr in ASKS and all(word.arg != "timeout" for word in call.keywords)


@pytest.mark.parametrize(
    "text", ["child.wait(20)", "run(timeout=60)", "until(so, within_s=1.0)", "httpx.get(url)", "thread.join(5)"]
)
def test_a_limit_of_its_own_is_found(text: str) -> None:
    assert own_limits(text) == [text]


def test_a_setting_of_that_name_is_none() -> None:
    assert own_limits("CountSettings(within_s=60.0)") == own_limits("replace(settings, within_s=60.0)") == []


def test_every_wait_that_ends_a_hang_goes_by_the_limit_of_all() -> None:
    """One that is shorter fails on a slow host. Waits of less than a second are to be in vain."""
    found = {str(path.relative_to(TESTS)): own_limits(path.read_text(encoding="utf-8")) for path in FILES}
    assert {path: limits for path, limits in found.items() if limits} == {}
