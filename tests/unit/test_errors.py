import inspect

from vigil import errors


def leaves() -> list[type[errors.VigilError]]:
    members = [value for _, value in inspect.getmembers(errors, inspect.isclass)]
    return [m for m in members if issubclass(m, errors.VigilError) and m is not errors.VigilError]


def test_the_tree_at_the_top_of_the_module_shows_every_error() -> None:
    assert errors.__doc__ is not None
    for leaf in leaves():
        assert f"- {leaf.__name__} " in errors.__doc__


def test_wrong_usage_exits_with_2_and_a_failed_job_with_1() -> None:
    codes = {leaf.__name__: leaf.exit_code for leaf in leaves()}
    assert {name for name, code in codes.items() if code == 2} == {"UsageError", "ConfigError"}
    assert set(codes.values()) == {1, 2}
