"""The timeline of a film: who does what from which second to which, asked window by window and merged.

timeline = asyncio.run(read_timeline(Path("film.mp4"), endpoint, TimelineSettings()))
for action in timeline.actions:
    print(action.start_s, action.end_s, action.actor, action.action, action.intent)
"""

from vigil.actions.action_timeline import ActionTimeline, TimedAction
from vigil.actions.read_film import TimelineSettings, read_timeline

__all__ = ["ActionTimeline", "TimedAction", "TimelineSettings", "read_timeline"]
