"""The live picture of a mesh: what goes on in it now, and in the last minute.

`targets` says whom to ask, `ask` asks them, `answer` is what one tells. `exposition` and `increases` make
rates of counters, `sidecars` and `servers` make edges and models of them. `collect` does all that once a
second and has a `view` ready; `page` is what shows it, and `server` serves both. Only `ask` and `server`
need `infermesh[overview]`.
"""
