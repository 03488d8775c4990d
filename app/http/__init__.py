"""What stands between the socket and the pages: connections, deadlines, body limits, TLS."""
