"""Models from ModelScope or Hugging Face: fetched at a revision, checked, and recorded with the SHA-256 of each file.

`fetch_model` is the work of `vigil download`; `read_record` and `Record.problems` say later whether a folder still
holds what came.
"""

from vigil.download.fetch import WantedFile, fetch_model
from vigil.download.record import RECORD_NAME, DownloadRecord, read_record

__all__ = ["RECORD_NAME", "DownloadRecord", "WantedFile", "fetch_model", "read_record"]
