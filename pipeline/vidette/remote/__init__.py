"""Models that answer at a URL: which one, how it is asked, and what is there. Nothing here knows of streams."""
