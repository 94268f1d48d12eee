"""The model server: a model repository on one side, the native data plane on the other."""
