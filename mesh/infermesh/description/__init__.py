"""mesh.yaml: what a mesh is made of, read and checked, and the workloads that it comes to.

Each kind of thing is a `part`: one field of the file, added by the distribution that knows it. Parts make
`workload`s of what is said; those who run or render them are given nothing else, and give each a `place`.
"""
