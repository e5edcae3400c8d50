"""Fusion without training: the methods that every deep one must beat."""
