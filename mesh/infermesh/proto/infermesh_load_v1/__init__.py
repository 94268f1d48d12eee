"""Generated stubs of the protobuf package infermesh.load.v1."""
