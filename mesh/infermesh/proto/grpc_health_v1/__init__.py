"""Generated stubs of the protobuf package grpc.health.v1."""
