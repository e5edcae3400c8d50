"""Checks for the exercises of each chapter, one module a chapter."""
