"""Receivers of results. Each module holds one class that keeps the contract of `vidette.sink.Sink`.

They are found through the entry-point group `vidette.sinks`, where a third party's sink registers in the same way.
All modules are imported to look up a file ending, so heavy libraries are imported when a sink opens.
"""
