"""Scenes: the embedded one, readers for a person's own files, and the catalog of real ones."""
