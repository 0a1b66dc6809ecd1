"""The lake: objects of an S3 bucket, the raw files in it, and the Delta tables in it."""
