"""`infermesh up`: a mesh on this machine, as processes that are watched.

`ports` finds theirs, `instance` is the place where one runs, `identities` are by what they know each other.
`process` starts one and starts it again, `supervisor` all in their order, `screen` shows them.
"""
