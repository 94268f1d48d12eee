"""The live picture of a mesh: what goes on in it now, and in the last minute.

`targets` says whom to ask, `ask` asks one of them, `exposition` and `increases` make rates of counters,
`sidecars` and `servers` make edges and models of them, `collect` does all that once a second and has a `view`
ready. `server` serves the view, and the page that shows it.
"""
