"""Logs in Elastic Common Schema on their way: Filebeat reads them, Logstash passes them on, Elasticsearch keeps them."""
