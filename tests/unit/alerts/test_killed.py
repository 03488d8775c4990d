"""What is killed between saving an alarm and sending it: `benchmarks/alerts.py --kills 200` is the long version."""

from pathlib import Path

from alerting import receiver
from killed_alerts import kill_often


def test_every_alarm_that_was_saved_is_sent_under_one_key_however_often_the_process_is_killed(tmp_path: Path) -> None:
    with receiver(delay_s=0.01) as got:
        count = kill_often(tmp_path / "events.db", got, kills=5)
    assert count.stored > 5 and (count.lost, count.twice) == (0, 0)
    # Of each process at most what was under way may come again, under the same key.
    assert count.repeated <= 4 * count.kills
