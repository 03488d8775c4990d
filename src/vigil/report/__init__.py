"""Presents verdicts, events and scores to people: tables, pictures, subtitles, annotated videos, HTML pages.

The modules are imported one by one: the web pages draw timeline strips and need none of the plots of a score.
"""
