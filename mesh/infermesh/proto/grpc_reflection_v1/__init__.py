"""Generated stubs of the protobuf package grpc.reflection.v1."""
