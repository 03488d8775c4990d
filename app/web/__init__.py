"""The web pages: chat, analysis of videos and cameras, watch room and review; they only present what `vigil` does."""
