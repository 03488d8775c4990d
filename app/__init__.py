"""The doors that need a server of their own: the web pages."""
