import pytest
from app.server import main

from vigil.serving.server import free_port


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "other machines"),
        (("--host", "0.0.0.0", "--auth", "ada:correct horse"), "can read a password on the command line"),
        (("--auth", "nowhere.txt"), "there is no file"),
        (("--config", "nowhere"), "no watch configuration"),
        (("--set", "descibe=never"), "did you mean 'describe'"),
        (("--url", "localhost"), "not the HTTP address"),
        (("--upload-mb", "0"), "--upload-mb 0: give a number above 0"),
        (("--uploads-visitor-mb", "499"), "--uploads-visitor-mb 499"),
        (("--uploads-total-mb", "1999"), "--uploads-total-mb 1999"),
        (("--keep-free-mb", "-1"), "--keep-free-mb -1: give 0 or more"),
        (("--connections", "0"), "--connections 0: choose 1 to"),
        (("--connections", "1000000"), "the cameras need the others"),
        (("--connections", "9", "--connections-per-address", "10"), "--connections-per-address 10: choose 1 to 9"),
        (("--root-path", "vigil"), "--root-path 'vigil': give the path"),
        (("--root-path", "/vigil/"), "does not end with it"),
        (("--root-path", "/a/../b"), "without . or .. as a part"),
        (("--root-path", "/en"), "--root-path /en: the pages use that path themselves"),
        (("--root-path", "/vigil"), "--root-path /vigil is for pages behind a proxy"),
        (("--keep-uploads-min", "-1"), "--keep-uploads-min -1: give a number above 0"),
        (("--keep-uploads-min", "nan"), "--keep-uploads-min nan: give a number above 0"),
        (("--keep-uploads-min", "inf"), "--keep-uploads-min inf: give a number above 0"),
    ],
)
def test_a_wrong_start_is_refused_on_one_line(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--port", str(free_port()), *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert "correct horse" not in told


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "python web.py --demo" in capsys.readouterr().out
