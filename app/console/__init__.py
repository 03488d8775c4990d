"""The operator console: plain pages on the service (`/api/v1`), as ES modules without a build step."""
