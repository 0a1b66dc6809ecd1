"""The world that generated ratings come from: who rates how much, what there is to rate, and who likes what."""
