"""Model repositories on S3-compatible storage: what is served is a copy on this machine."""
