"""What operators see: rules and scraping for Prometheus, dashboards, a collector, pipelines for logs.

All of it is files and Kubernetes objects made of a `Description`, so that each target brings them along.
"""
