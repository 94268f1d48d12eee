"""`infermesh render compose`: a mesh as a Compose file, for one machine with Docker or Podman.

`place` is where an instance runs, `service` what Compose is told of a container, `services` how those of a
workload stand together, `project` all of them.
"""
