"""Model servers as a part of a mesh: what mesh.yaml says of them, and how they are started."""
