"""The engine of every S3-compatible store: the only package that knows boto3, botocore, obstore and urllib3."""
