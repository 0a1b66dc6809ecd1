"""How ratings are split into what a model learns from and what it is judged on: one way a file."""
