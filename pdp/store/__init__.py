"""The control plane's database: one SQLite file by default, PostgreSQL by URL, and its migrations."""
