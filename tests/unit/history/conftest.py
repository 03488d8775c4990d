from new_stores import sqlite_store, store, url

__all__ = ["sqlite_store", "store", "url"]
