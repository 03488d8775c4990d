"""What verdicts, events and scores look like to people: tables, pictures, subtitles, films, pages.

Each is imported by its own name: the web pages draw strips and need none of the plots of a score.
"""
