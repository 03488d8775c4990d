"""CSV files as spreadsheets leave them: their encoding and what stands between their columns."""

from collections.abc import Collection

SEPARATORS = (",", ";", "\t")


def csv_text(data: bytes) -> str:
    """The text of a CSV file: UTF-8, else GB18030, in which Excel saves on a Chinese Windows; raises UnicodeError."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = data.decode("gb18030")
        if not all(c.isprintable() or c.isspace() for c in text):
            raise UnicodeError("neither UTF-8 nor GB18030") from error
        return text


def separator_of(header: str, columns: Collection[str]) -> str:
    """What separates the columns: the first that makes the header hold them all, else a comma."""
    return next((mark for mark in SEPARATORS if set(columns) <= set(cells(header, mark))), ",")


def cells(header: str, separator: str) -> list[str]:
    """The names of the columns, however they are written."""
    return [cell.strip().strip('"').lower() for cell in header.split(separator)]
