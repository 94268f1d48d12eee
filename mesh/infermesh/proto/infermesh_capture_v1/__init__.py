"""Generated stubs of the protobuf package infermesh.capture.v1."""
