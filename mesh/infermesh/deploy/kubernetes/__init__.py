"""`infermesh render kubernetes`: a mesh as manifests that kustomize builds, for any service mesh or none."""
