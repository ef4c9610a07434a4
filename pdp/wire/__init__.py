"""Wire formats, one module each: strict parse, pure mapping to `AccessRequest`, and the answer back."""
