"""What the decision log may not hold of people: masking rules as data, and keyed pseudonyms."""
