"""People from an LDAP directory or Active Directory. Read `source.py` first.

The client is our own and small (`ber`, `messages`, `client`): bind, StartTLS, search. What else was looked at stands
in docs/connectors.md: the libraries on libldap bring no wheels and keep TLS options for the whole process, and the
pure ones are unmaintained or months old. A referral cannot be followed by a client that does not know how.
"""

from connectors.identity.ldap.source import connector

__all__ = ["connector"]
