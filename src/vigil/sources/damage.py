"""What was wrong with a video while it was read: counted, and told in words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeReport:
    """Everything that a reader had to work around; `problems` tells it to a person.

    `ended_by` is the error that ended the file early, `missing_s` what its header promised beyond the
    last picture.
    """

    bad_packets: int = 0
    damaged_pictures: int = 0
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
            (self.bad_packets, f"packets that could not be decoded: {self.bad_packets}"),
            (self.damaged_pictures, f"pictures that show damage: {self.damaged_pictures}"),
            (self.spliced_jumps, f"jumps of its clock, spliced: {self.spliced_jumps}"),
            (self.repeated_stamps, f"frames left out because they repeat a time: {self.repeated_stamps}"),
            (self.missing_stamps, f"frames without a time, placed by the frame rate: {self.missing_stamps}"),
            (self.size_changes, f"changes of its picture size: {self.size_changes}"),
        )
        return tuple(sentence for happened, sentence in told if happened)

    def __bool__(self) -> bool:
        return bool(self.problems)
