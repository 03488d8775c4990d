"""Makes a request for a local file the client's error (ValueError), not a server error. Runs in vLLM's environment.

URLs are handled by vLLM itself (`--allowed-media-domains`), but it answers a request for a file that it may not read
with status 500. Importing this module registers the connector `vigil`, which vLLM uses if `VLLM_MEDIA_CONNECTOR` names
it. It does not import Vigil.
"""

from typing import Any

from vllm.multimodal.media import MEDIA_CONNECTOR_REGISTRY, MediaConnector


@MEDIA_CONNECTOR_REGISTRY.register("vigil")
class RequestMedia(MediaConnector):  # type: ignore[misc]
    """vLLM's connector, which reports a forbidden address as the client's error."""

    def load_from_url(self, url: str, *rest: Any, **options: Any) -> Any:
        """The media at an address; raises ValueError if it may not be read."""
        self._check(url)
        return super().load_from_url(url, *rest, **options)

    async def load_from_url_async(self, url: str, *rest: Any, **options: Any) -> Any:
        """The asynchronous form."""
        self._check(url)
        return await super().load_from_url_async(url, *rest, **options)

    def _check(self, url: str) -> None:
        if url[:5].lower() == "file:" and self.allowed_local_media_path is None:
            raise ValueError("this server reads no files; send pictures as data: URLs")
