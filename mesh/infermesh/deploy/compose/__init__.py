"""`infermesh render compose`: a mesh as a Compose file, for one machine with Docker or Podman.

`place` is where an instance runs, `service` what Compose is told of a container, `project` all of them.
"""
