"""Generated stubs of the protobuf package inference."""
