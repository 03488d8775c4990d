"""What was wrong with a video while it was read: counted, and told in words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Everything that a reader had to work around; `problems` tells it to a person.

    `ended_by` is the error that ended the file early, `missing_s` what its header promised beyond the
    last picture.
    """

    bad_packets: int = 0
    spliced_jumps: int = 0
    repeated_stamps: int = 0
    missing_stamps: int = 0
    size_changes: int = 0
    missing_s: float = 0.0
    ended_by: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each kind of damage; empty for a sound file."""
        told = (
            (self.ended_by, f"it breaks off early ({self.ended_by}); what comes before was read"),
            (self.missing_s, f"the last {self.missing_s:.1f} s that its header promises are not there"),
            (self.bad_packets, f"{self.bad_packets} damaged packets could not be decoded"),
            (self.spliced_jumps, f"its clock jumps {self.spliced_jumps} times; the times are spliced"),
            (self.repeated_stamps, f"{self.repeated_stamps} frames repeat a time and were left out"),
            (self.missing_stamps, f"{self.missing_stamps} frames have no time; the frame rate gave one"),
            (self.size_changes, f"the size of its picture changes {self.size_changes} times"),
        )
        return tuple(sentence for happened, sentence in told if happened)

    def __bool__(self) -> bool:
        return bool(self.problems)
