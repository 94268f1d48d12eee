"""Captured requests and answers, in files.

``writer`` appends what a proxy kept to files that are rotated and bounded; ``reader`` yields it again,
record by record, and ``inference`` shows what a record's bodies hold as numpy arrays. ``files`` is what
they agree on. A file is plain protobuf, so other readers need none of this: see
``protos/infermesh/capture/v1/capture.proto``.
"""
