"""The web pages: chat, analysis of videos and cameras, and the watch room. What they show is done in `vigil`."""
