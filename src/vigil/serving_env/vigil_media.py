"""Where vLLM takes pictures from: the request itself, unless the server was started otherwise. Runs in vLLM's
environment, without Vigil.

Addresses are vLLM's own matter (`--allowed-media-domains`); its answer to a file that it may not read is a fault of
the server, status 500, though the fault is the request's. Loading this module registers the connector `vigil`, which
vLLM takes where `VLLM_MEDIA_CONNECTOR` names it.
"""

from typing import Any

from vllm.multimodal.media import MEDIA_CONNECTOR_REGISTRY, MediaConnector


@MEDIA_CONNECTOR_REGISTRY.register("vigil")
class RequestMedia(MediaConnector):  # type: ignore[misc]
    """vLLM's connector, which calls an address that it may not read the client's mistake."""

    def load_from_url(self, url: str, *rest: Any, **options: Any) -> Any:
        """The media behind an address; raises ValueError for one that may not be read."""
        self._check(url)
        return super().load_from_url(url, *rest, **options)

    async def load_from_url_async(self, url: str, *rest: Any, **options: Any) -> Any:
        """The same, for a server."""
        self._check(url)
        return await super().load_from_url_async(url, *rest, **options)

    def _check(self, url: str) -> None:
        if url[:5].lower() == "file:" and self.allowed_local_media_path is None:
            raise ValueError("this server reads no files; send pictures as data: URLs")
