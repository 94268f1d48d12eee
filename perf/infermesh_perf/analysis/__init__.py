"""What figures mean: objectives, confidence, searches, comparisons. Pure: no files, no clock, no network."""
