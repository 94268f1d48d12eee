"""Service meshes, each a `Flavour`: one file for one of them."""
