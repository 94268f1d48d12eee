"""Files with data to send or to expect, one module per format."""
