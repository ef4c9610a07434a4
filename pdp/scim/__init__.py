"""The SCIM 2.0 service (RFC 7643, RFC 7644): an identity provider brings, changes and disables people.

Read in this order: `desk` (the HTTP exchange), `dialects` (what real providers send), `protocol` (the library's
steps that are changed), `storage` (resources in the store), `person` and `people` (from a resource to the
directory), `removals` (the bound on deletions), `reconcile` (when the settings changed).
"""
