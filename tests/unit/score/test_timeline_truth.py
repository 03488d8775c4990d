from pathlib import Path

import pytest

from vigil.errors import ConfigError
from vigil.questions import load_question
from vigil.score.timeline_truth import TrueIncident, read_ground_truth

HEADER = "video,onset_s,end_s\n"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "truth.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_incidents_are_read_by_video_in_order(tmp_path: Path) -> None:
    truth = read_ground_truth(write(tmp_path, HEADER + "a.mp4,20,25.5\nb.mp4,,\na.mp4, 3 ,4\n"))
    assert truth.spans == {"a.mp4": (TrueIncident(3, 4, 4), TrueIncident(20, 25.5, 2)), "b.mp4": ()}


def test_more_columns_comments_blank_lines_and_a_mark_of_order_do_not_disturb(tmp_path: Path) -> None:
    text = "# by hand\n Video ,clip,ONSET_S,end_s,label\r\na.mp4,x,1,2,alarm\r\n\r\n,,,,\r\na.mp4,y,5,9,Normal\r\n"
    truth = read_ground_truth(write(tmp_path, b"\xef\xbb\xbf" + text.encode()))
    assert truth.spans == {"a.mp4": (TrueIncident(1, 2, 3),)}


def test_classes_are_those_of_the_question_and_rows_that_do_not_alarm_are_no_incidents(tmp_path: Path) -> None:
    lines = ["1,2,smoke", "5,6,跌倒", "8,9,alarm", "11,12,正常"]
    text = "video,onset_s,end_s,label\n" + "".join(f"a.mp4,{line}\n" for line in lines)
    nine = read_ground_truth(write(tmp_path, text)).for_question(load_question("anomaly9"))
    assert [(span.onset_s, span.label) for span in nine.spans["a.mp4"]] == [(1, "烟雾"), (5, "跌倒"), (8, "")]
    two = read_ground_truth(write(tmp_path, text)).for_question(load_question("fight"))
    assert [span.label for span in two.spans["a.mp4"]] == ["", "", "", ""]


def test_a_class_that_the_question_does_not_have_is_told_with_its_line(tmp_path: Path) -> None:
    truth = read_ground_truth(write(tmp_path, "video,onset_s,end_s,label\na.mp4,1,2,smoke\na.mp4,5,6,flood\n"))
    with pytest.raises(ConfigError, match="line 3: the label 'flood' is none of the question: 周界翻越"):
        truth.for_question(load_question("anomaly9"))


def test_what_excel_saves_on_a_chinese_windows_is_read(tmp_path: Path) -> None:
    truth = read_ground_truth(write(tmp_path, (HEADER + "夜里.mp4,1,2\r\n").encode("gb18030")))
    assert truth.spans == {"夜里.mp4": (TrueIncident(1, 2, 2),)}


def test_names_with_commas_and_line_breaks_are_quoted_as_csv_has_it(tmp_path: Path) -> None:
    truth = read_ground_truth(write(tmp_path, HEADER + '"a, b.mp4",1,2\n'))
    assert list(truth.spans) == ["a, b.mp4"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a.mp4,1,2\n", "line 1: must be the header video,onset_s,end_s; there is no column"),
        ("video,onset_s\na.mp4,1\n", "there is no column end_s"),
        ("video;onset_s;end_s\na.mp4;1;2\n", "not separated by commas"),
        ("video\tonset_s\tend_s\n", "not separated by commas"),
        ("", "must be the header"),
        (HEADER, "holds no rows"),
        (HEADER + "a.mp4,5,2\n", "line 2: it ends at 2 s, which is not after its onset at 5 s"),
        (HEADER + "a.mp4,5,5\n", "line 2: it ends at 5 s"),
        (HEADER + "a.mp4,-1,2\n", "line 2: onset_s must be seconds from 0 on, not -1"),
        (HEADER + "a.mp4,nan,2\n", "line 2: onset_s must be seconds from 0 on"),
        (HEADER + "a.mp4,1:05,2\n", "line 2: onset_s must be seconds, such as 61.5, not '1:05'"),
        (HEADER + "a.mp4,1,\n", "line 2: end_s must be seconds"),
        (HEADER + "a.mp4\n,1,2\n", "line 3: the column video is empty"),
        (HEADER + "a.mp4,1,5\nb.mp4,2,3\na.mp4,4,9\n", "line 4: begins at 4 s, before the incident of line 2 ends"),
        (b"\xff\xfev\x00i\x00", "is not UTF-8 text"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        read_ground_truth(path)
    assert complaint in str(error.value) and str(path) in str(error.value)


def test_all_problems_are_told_at_once_but_not_a_thousand(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read_ground_truth(write(tmp_path, HEADER + "a.mp4,9,1\n" * 1000))
    assert len(error.value.problems) == 21 and error.value.problems[-1] == "and 980 more like these"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.csv: cannot be read"):
        read_ground_truth(tmp_path / "gone.csv")


def test_a_name_means_the_file_that_ends_in_it(tmp_path: Path) -> None:
    truth = read_ground_truth(write(tmp_path, HEADER + "a.mp4,1,2\nday2/b.mp4,3,4\nother.mp4,,\n"))
    videos = [tmp_path / "day1" / "a.mp4", tmp_path / "day2" / "b.mp4"]
    assert list(truth.match(videos).values()) == [(TrueIncident(1, 2, 2),), (TrueIncident(3, 4, 3),)]
    assert truth.left_out(videos) == ["other.mp4 (line 4)"]


def test_a_video_that_no_row_names_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    truth = read_ground_truth(write(tmp_path, HEADER + "yard_1.mp4,1,2\n"))
    with pytest.raises(ConfigError, match=r"no row names yard-1.mp4 .*yard_1.mp4.* add the row `yard-1.mp4,,`"):
        truth.match([tmp_path / "yard-1.mp4"])


def test_a_name_that_means_two_videos_is_an_error(tmp_path: Path) -> None:
    truth = read_ground_truth(write(tmp_path, HEADER + "a.mp4,1,2\n"))
    with pytest.raises(ConfigError, match="write more of the path"):
        truth.match([tmp_path / "day1" / "a.mp4", tmp_path / "day2" / "a.mp4"])
