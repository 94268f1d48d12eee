"""What the parts of a configuration have to keep together, beyond what each of them is.

Each function looks at one part and names places within it; ``below`` puts them where the part is.
"""

from infermesh_sidecar.settings.rules.whole import broken_rules

__all__ = ["broken_rules"]
