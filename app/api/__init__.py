"""The service: REST, server-sent events and metrics, versioned below `/api/v1`; see docs/service.md."""
