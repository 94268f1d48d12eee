"""Logs on their way, in Elastic Common Schema: from Filebeat by Logstash to Elasticsearch."""
