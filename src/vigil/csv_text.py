"""Reads CSV files as spreadsheets save them: detects the encoding and the column separator."""

from collections.abc import Collection

SEPARATORS = (",", ";", "\t")


def csv_text(data: bytes) -> str:
    """Decodes a CSV file as UTF-8, else as GB18030 (Excel on Chinese Windows); raises UnicodeError if it is neither."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = data.decode("gb18030")
        if not all(c.isprintable() or c.isspace() for c in text):
            raise UnicodeError("neither UTF-8 nor GB18030") from error
        return text


def separator_of(header: str, columns: Collection[str]) -> str:
    """Returns the first separator under which the header contains all `columns`, else a comma."""
    return next((mark for mark in SEPARATORS if set(columns) <= set(cells(header, mark))), ",")


def cells(header: str, separator: str) -> list[str]:
    """Returns the column names in lower case, without quotes and surrounding spaces."""
    return [cell.strip().strip('"').lower() for cell in header.split(separator)]
