"""The description of the service: complete, true, and every example in it works.

Schemathesis is loaded by its own test: it takes a second of CPU, which every worker would pay when it collects.
"""

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    import schemathesis

from api_service import EVENT, Service
from waiting import HANG_S

EXAMPLES = {"event": EVENT, "camera": "door", "format": "csv", "window": "1", "number": "0"}
CASES = 6


@pytest.fixture(scope="module")
def described(service: Service) -> dict[str, Any]:
    with service.client() as client:
        told: dict[str, Any] = client.get("/openapi.json").json()
    return told


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, told) for path, ways in described["paths"].items() for method, told in ways.items()]


def test_every_operation_documents_its_errors_as_problems(described: dict[str, Any]) -> None:
    for path, method, told in operations(described):
        assert told["summary"] and told.get("description"), (method, path)
        errors = {status: each for status, each in told["responses"].items() if int(status) >= 400}
        assert errors.keys() >= {"401", "403", "422", "429", "500"}, (method, path)
        assert all(list(each["content"]) == ["application/problem+json"] for each in errors.values())


def test_every_example_works(described: dict[str, Any], asking: httpx.Client) -> None:
    for path, method, told in operations(described):
        if method != "get" or path in ("/live",):
            continue
        for parameter in told.get("parameters", []):
            if parameter["in"] == "path":
                given = parameter.get("examples") or parameter["schema"].get("examples")
                assert str(given[0]) == EXAMPLES[parameter["name"]], (path, parameter)
        if "{camera}" in path:
            continue
        filled = re.sub(r"\{(\w+)\}", lambda found: EXAMPLES[found[1]], path)
        assert asking.get(filled).status_code in (200, 503 if path == "/ready" else 200), path
    mark = described["components"]["schemas"]["NewMark"]["properties"]
    said = {name: each["examples"][0] for name, each in mark.items()}
    assert asking.post("/events/e0005/marks", json=said).status_code == 201


def test_schemathesis_finds_no_server_error_and_no_undocumented_answer(service: Service) -> None:
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    wrong = (
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    )
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json", timeout=HANG_S)
    schema.config.update(base_url=service.url)
    tried = 0

    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path == "/live":
            continue

        @settings(
            max_examples=CASES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given_case(operation)
        def ask(case: "schemathesis.Case") -> None:
            nonlocal tried
            tried += 1
            # Its own ten seconds would be a limit of speed.
            answer = case.call(timeout=HANG_S)
            case.validate_response(answer, checks=wrong)

        ask()
    assert tried > 100


def given_case(operation: Any) -> Any:
    """Hypothesis' decorator for the requests of an operation, right and wrong ones."""
    from schemathesis import GenerationMode as modes

    return given(
        case=st.one_of(
            operation.as_strategy(generation_mode=modes.POSITIVE), operation.as_strategy(generation_mode=modes.NEGATIVE)
        )
    )


@pytest.mark.parametrize("body", [b"k\xff\x0fQ", b"\xff\xfe{\x00}\x00", b"{", b""])
def test_a_body_that_is_no_json_in_utf_8_is_told(asking: httpx.Client, body: bytes) -> None:
    answer = asking.post("/events/e0001/marks", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
