"""The web server: the pages, sign-in, and the limits on what visitors may do."""
