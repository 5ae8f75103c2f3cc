"""Garbage collection: content that nothing needs any more goes, and a writer in flight loses nothing."""
