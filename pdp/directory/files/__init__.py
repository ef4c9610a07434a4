"""What people bring: CSV and YAML files, with every fault of them found and named before anything is changed."""
