"""boto3 with its defaults: put, get and managed transfers, 0 bytes to 1 GiB."""
import filecmp, os, sys
import boto3

work = sys.argv[1]
s3 = boto3.client("s3", endpoint_url=os.environ["endpoint"])
s3.create_bucket(Bucket="boto")
for size in (0, 1, 5000, 1 << 20, (8 << 20) + 1):
    body = os.urandom(size)
    s3.put_object(Bucket="boto", Key="put/%d" % size, Body=body)
    assert s3.get_object(Bucket="boto", Key="put/%d" % size)["Body"].read() == body, size
    print("boto3 put and get: %d bytes, equal" % size)
for size in (0, 100 << 20, 1 << 30):
    up, down = os.path.join(work, "up"), os.path.join(work, "down")
    with open(up, "wb") as f:
        for _ in range(size >> 20):
            f.write(os.urandom(1 << 20))
    s3.upload_file(up, "boto", "file/%d" % size)
    s3.download_file("boto", "file/%d" % size, down)
    assert filecmp.cmp(up, down, shallow=False), size
    print("boto3 upload_file and download_file: %d bytes, equal" % size)
keys = [o["Key"] for p in s3.get_paginator("list_objects_v2").paginate(Bucket="boto") for o in p.get("Contents", [])]
assert len(keys) == 8, keys
gone = s3.delete_objects(Bucket="boto", Delete={"Objects": [{"Key": k} for k in keys]})
assert len(gone["Deleted"]) == 8 and "Errors" not in gone, gone
s3.delete_bucket(Bucket="boto")
print("boto3 list and delete: as expected")
