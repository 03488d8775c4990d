"""The HTTP layer below the pages: connections, deadlines, body limits, TLS."""
