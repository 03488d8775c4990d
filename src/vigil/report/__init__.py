"""What a score looks like to people: a table, pictures, and a page of the worst mistakes."""

from vigil.report.mistakes import write_mistakes
from vigil.report.pictures import write_pictures
from vigil.report.table import comparison_text, score_table

__all__ = ["comparison_text", "score_table", "write_mistakes", "write_pictures"]
