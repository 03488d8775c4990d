"""Downloads models from ModelScope or Hugging Face at a revision, and records the SHA-256 of each file.

`fetch_model` implements `vigil download`; `read_record` and `DownloadRecord.problems` check later whether a folder
still holds the downloaded files.
"""

from vigil.download.fetch import WantedFile, fetch_model
from vigil.download.record import RECORD_NAME, DownloadRecord, read_record

__all__ = ["RECORD_NAME", "DownloadRecord", "WantedFile", "fetch_model", "read_record"]
