"""`infermesh render nomad`: a mesh as a Nomad job on Consul's service mesh.

`place` is where an instance runs, `group` what Nomad is told of a workload, `job` all of them, `consul` what
Consul is told. `hcl` writes the job.
"""
