"""One load on one target: what is asked of the generator, and what came of it."""
