"""What a run has found: the document that is written, read again, compared and drawn."""
