"""Where the time of a request goes, and what the server did meanwhile."""
