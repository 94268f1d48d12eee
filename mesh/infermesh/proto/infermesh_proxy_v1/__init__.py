"""Generated stubs of the protobuf package infermesh.proxy.v1."""
