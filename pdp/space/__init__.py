"""The decision space: what a policy decides for every vector of facts that it can tell apart."""
