"""Identity: from what the identity provider said to how strongly the subject is authenticated."""
