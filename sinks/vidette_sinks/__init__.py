"""Receivers of results, found by the pipeline through the entry-point group `vidette.sinks`."""
