"""Logstash's pipeline: from Filebeat into a data stream of Elasticsearch."""

from infermesh.deploy.observability.logs.elasticsearch import DATASET, namespace
from infermesh.description.mesh import Mesh

_PIPELINE = """\
# Written by `infermesh render`. Variables of the environment: ELASTICSEARCH_HOSTS, ELASTICSEARCH_API_KEY.
input {
  beats { port => 5044 ecs_compatibility => "v8" }
}

filter {
  # Of the one that has read it, and of no use to who reads the log.
  mutate { remove_field => ["agent", "input", "[event][original]"] }
  # A line that is no JSON: what an app has printed, or the end of a process that has crashed.
  if ![event][action] {
    mutate { add_tag => ["plain"] }
  }
}

output {
  elasticsearch {
    hosts => "${ELASTICSEARCH_HOSTS}"
    api_key => "${ELASTICSEARCH_API_KEY}"
    data_stream => true
    data_stream_type => "logs"
    data_stream_dataset => "DATASET"
    data_stream_namespace => "NAMESPACE"
    manage_template => false
  }
}
"""


def pipeline(mesh: Mesh) -> str:
    """The pipeline of a mesh."""
    return _PIPELINE.replace("DATASET", DATASET).replace("NAMESPACE", namespace(mesh))
