"""Cheaper versions of a model file, each proven against the original before it is kept: `vidette models optimise`."""
