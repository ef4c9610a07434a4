"""The HTTP surface: a lane for decisions in front, an ordinary FastAPI application behind it."""
