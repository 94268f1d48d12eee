"""`infermesh render`: a mesh as files for whoever runs it elsewhere: Kubernetes, Compose, Nomad.

Each target is a package of its own that makes `File`s of a `Description`; `output` writes them.
"""
