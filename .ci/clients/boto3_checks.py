"""boto3 with its defaults: single requests, managed transfers to a given size,
presigned URLs, copies, listings, versions, tags, checksums, conditions. What is
not built yet must be refused.

usage: boto3_checks.py <folder for files> <largest file in MiB>
"""
import base64, filecmp, hashlib, json, os, ssl, sys, traceback, urllib.error, urllib.request, zlib
import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

work, largest = sys.argv[1], int(sys.argv[2]) << 20
scheme = os.environ["endpoint"].split(":")[0]
s3 = boto3.client("s3", endpoint_url=os.environ["endpoint"])
MIB = 1 << 20
B = "boto"
checks = []


def check(f):
    checks.append(f)
    return f


def current(f):
    """A check that needs what boto3 has since 1.36, such as its default checksum."""
    if [int(n) for n in boto3.__version__.split(".")[:2]] >= [1, 36]:
        return check(f)
    print("boto3: not run: %s: boto3 %s is too old for it" % (f.__name__, boto3.__version__))
    return f


def read(key, **more):
    return s3.get_object(Bucket=B, Key=key, **more)["Body"].read()


def file(name, size):
    path = os.path.join(work, name)
    with open(path, "wb") as f:
        for at in range(0, size, MIB):
            f.write(os.urandom(min(MIB, size - at)))
    return path


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
    else:
        raise AssertionError("%s was expected" % code)


def keys(**arguments):
    return [o["Key"] for p in s3.get_paginator("list_objects_v2").paginate(Bucket=B, **arguments) for o in p.get("Contents", [])]


@check
def put_and_get():
    for size in (0, 1, 5000, MIB, 8 * MIB + 1):
        body = os.urandom(size)
        put = s3.put_object(Bucket=B, Key="put/%d" % size, Body=body, ContentType="text/x-sherd", Metadata={"colour": "blue"})
        assert put["ETag"] == '"%s"' % hashlib.md5(body).hexdigest(), put
        got = s3.get_object(Bucket=B, Key="put/%d" % size)
        assert got["Body"].read() == body, size
        assert got["ContentType"] == "text/x-sherd" and got["Metadata"] == {"colour": "blue"}, got
    assert read("put/5000", Range="bytes=10-19") == read("put/5000")[10:20]
    refused("NoSuchKey", s3.get_object, Bucket=B, Key="nothing")
    refused("NoSuchBucket", s3.list_objects_v2, Bucket="no-such-bucket")


@check
def empty_file_then_another():
    """A connection must be good for another request after an empty file, for
    which the client also waits for 100 Continue: no request is tried twice."""
    for size in (0, 1, 0, 70000):
        with open(file("up", size), "rb") as f:
            put = s3.put_object(Bucket=B, Key="empty/%d" % size, Body=f)
        assert put["ResponseMetadata"]["RetryAttempts"] == 0, (size, put)


@check
def transfers():
    for size in (0, 8 * MIB, 8 * MIB + 1, 100 * MIB, 1024 * MIB):
        if size > largest:
            continue
        up, down = file("up", size), os.path.join(work, "down")
        s3.upload_file(up, B, "file/%d" % size)
        s3.download_file(B, "file/%d" % size, down)
        assert filecmp.cmp(up, down, shallow=False), size
        print("  upload_file and download_file: %d bytes, equal" % size)


@check
def streams():
    """A body whose length nobody knows before it ends."""
    up, down = file("up", 9 * MIB), os.path.join(work, "down")
    out, into = os.pipe()
    if os.fork() == 0:
        with open(up, "rb") as f, open(into, "wb") as w:
            w.write(f.read())
        os._exit(0)
    os.close(into)
    with open(out, "rb") as r:
        s3.upload_fileobj(r, B, "stream")
    os.wait()
    with open(down, "wb") as f:
        s3.download_fileobj(B, "stream", f)
    assert filecmp.cmp(up, down, shallow=False)


def put(url, body, type):
    try:
        urllib.request.urlopen(urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": type}), context=tls())
    except urllib.error.HTTPError as e:
        raise AssertionError("PUT %s: %d %s" % (url, e.code, e.read()))


def tls():
    return ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"]) if scheme == "https" else None


@check
def presigned():
    """Made with the client's default signature version."""
    body = os.urandom(70000)
    url = s3.generate_presigned_url("put_object", Params={"Bucket": B, "Key": "pre signed/ü+&"}, ExpiresIn=60)
    put(url, body, "")
    url = s3.generate_presigned_url("get_object", ExpiresIn=60, Params={
        "Bucket": B, "Key": "pre signed/ü+&", "ResponseContentDisposition": 'attachment; filename="a b"'})
    with urllib.request.urlopen(url, context=tls()) as got:
        assert got.read() == body
        assert got.headers["Content-Disposition"] == 'attachment; filename="a b"', got.headers
    denied = url.replace("Signature=", "Signature=A")
    try:
        urllib.request.urlopen(denied, context=tls())
    except urllib.error.HTTPError as e:
        assert e.code == 403, e
    else:
        raise AssertionError("a false signature was accepted")


@check
def presigned_with_an_unsigned_type():
    """A URL of Version 4 signs the host alone; browsers add a Content-Type."""
    v4 = boto3.client("s3", endpoint_url=os.environ["endpoint"], config=Config(signature_version="s3v4"))
    url = v4.generate_presigned_url("put_object", Params={"Bucket": B, "Key": "typed"}, ExpiresIn=60)
    put(url, b"x", "image/png")
    assert s3.head_object(Bucket=B, Key="typed")["ContentType"] == "image/png"


@check
def copies():
    body = os.urandom(5000)
    s3.put_object(Bucket=B, Key="from/ü +", Body=body, Metadata={"colour": "blue"})
    s3.copy_object(Bucket=B, Key="to/a", CopySource={"Bucket": B, "Key": "from/ü +"})
    assert read("to/a") == body
    s3.copy_object(Bucket=B, Key="to/b", CopySource="%s/to/a" % B, MetadataDirective="REPLACE", Metadata={"colour": "red"})
    assert s3.head_object(Bucket=B, Key="to/b")["Metadata"] == {"colour": "red"}
    s3.copy({"Bucket": B, "Key": "to/b"}, B, "to/c")
    assert read("to/c") == body
    up, down = file("up", 20 * MIB), os.path.join(work, "down")
    s3.upload_file(up, B, "large")
    s3.copy({"Bucket": B, "Key": "large"}, B, "to/large")  # UploadPartCopy, above 8 MiB
    s3.download_file(B, "to/large", down)
    assert filecmp.cmp(up, down, shallow=False)


@check
def multipart():
    """By hand, with a part that is copied, a listing, and an upload given up."""
    part = os.urandom(5 * MIB)
    s3.put_object(Bucket=B, Key="part", Body=part)
    u = {"Bucket": B, "Key": "parts", "UploadId": s3.create_multipart_upload(Bucket=B, Key="parts")["UploadId"]}
    one = s3.upload_part(PartNumber=1, Body=part, **u)
    two = s3.upload_part_copy(PartNumber=2, CopySource="%s/part" % B, CopySourceRange="bytes=0-%d" % (5 * MIB - 1), **u)
    three = s3.upload_part(PartNumber=3, Body=b"end", **u)
    etags = [one["ETag"], two["CopyPartResult"]["ETag"], three["ETag"]]
    assert [p["ETag"] for p in s3.list_parts(**u)["Parts"]] == etags
    assert [x["UploadId"] for x in s3.list_multipart_uploads(Bucket=B)["Uploads"]] == [u["UploadId"]]
    s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": n + 1, "ETag": e} for n, e in enumerate(etags)]}, **u)
    assert read("parts") == part + part + b"end"
    assert read("parts", PartNumber=3) == b"end"
    assert s3.head_object(Bucket=B, Key="parts", PartNumber=1)["PartsCount"] == 3
    gone = {"Bucket": B, "Key": "given up", "UploadId": s3.create_multipart_upload(Bucket=B, Key="given up")["UploadId"]}
    s3.upload_part(PartNumber=1, Body=b"x", **gone)
    s3.abort_multipart_upload(**gone)
    refused("NoSuchUpload", s3.list_parts, **gone)


@check
def listings():
    names = sorted("list/%s/%d" % (d, n) for d in ("a b", "c+d", "ü") for n in range(5))
    for name in names:
        s3.put_object(Bucket=B, Key=name, Body=b"x")
    small = {"PageSize": 4}
    assert keys(Prefix="list/", PaginationConfig=small) == names
    for paginator in ("list_objects", "list_objects_v2"):
        pages = list(s3.get_paginator(paginator).paginate(Bucket=B, Prefix="list/", Delimiter="/", PaginationConfig={"PageSize": 1}))
        assert [c["Prefix"] for p in pages for c in p["CommonPrefixes"]] == ["list/a b/", "list/c+d/", "list/ü/"], pages
    versions = s3.get_paginator("list_object_versions").paginate(Bucket=B, Prefix="list/", PaginationConfig=small)
    assert [v["Key"] for p in versions for v in p["Versions"]] == names
    assert B in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert keys(Prefix="list/", StartAfter=names[6]) == names[7:]


@check
def versions():
    s3.create_bucket(Bucket="boto-versions")
    s3.put_bucket_versioning(Bucket="boto-versions", VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket="boto-versions")["Status"] == "Enabled"
    k = {"Bucket": "boto-versions", "Key": "k"}
    ids = [s3.put_object(Body=b, **k)["VersionId"] for b in (b"one", b"two")]
    marker = s3.delete_object(**k)
    assert marker["DeleteMarker"] is True
    refused("NoSuchKey", s3.get_object, **k)
    assert s3.get_object(VersionId=ids[0], **k)["Body"].read() == b"one"
    all = s3.list_object_versions(Bucket="boto-versions")
    assert [v["VersionId"] for v in all["Versions"]] == ids[::-1] and len(all["DeleteMarkers"]) == 1, all
    s3.delete_object(VersionId=marker["VersionId"], **k)
    assert s3.get_object(**k)["Body"].read() == b"two"
    boto3.resource("s3", endpoint_url=os.environ["endpoint"]).Bucket("boto-versions").object_versions.delete()
    s3.delete_bucket(Bucket="boto-versions")


@check
def object_tags():
    tags = [{"Key": "colour", "Value": "blue"}, {"Key": "a b", "Value": "ü"}]
    s3.put_object(Bucket=B, Key="tagged", Body=b"x", Tagging="colour=blue")
    assert s3.get_object_tagging(Bucket=B, Key="tagged")["TagSet"] == tags[:1]
    s3.put_object_tagging(Bucket=B, Key="tagged", Tagging={"TagSet": tags})
    by_key = lambda t: t["Key"]
    assert sorted(s3.get_object_tagging(Bucket=B, Key="tagged")["TagSet"], key=by_key) == sorted(tags, key=by_key)
    assert s3.get_object(Bucket=B, Key="tagged")["TagCount"] == 2
    s3.delete_object_tagging(Bucket=B, Key="tagged")
    assert s3.get_object_tagging(Bucket=B, Key="tagged")["TagSet"] == []


@check
def bucket_tags():
    refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=B)
    s3.put_bucket_tagging(Bucket=B, Tagging={"TagSet": [{"Key": "colour", "Value": "blue"}]})
    assert s3.get_bucket_tagging(Bucket=B)["TagSet"] == [{"Key": "colour", "Value": "blue"}]
    s3.delete_bucket_tagging(Bucket=B)


@current
def pages_of_buckets():
    pages = s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 1})
    assert B in [b["Name"] for p in pages for b in p["Buckets"]]


@current
def checksums():
    body = os.urandom(9 * MIB)
    want = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    put = s3.put_object(Bucket=B, Key="sum", Body=body)
    assert put["ChecksumCRC32"] == want, put
    for algorithm in ("CRC32", "SHA1", "SHA256", "CRC64NVME"):
        try:
            put = s3.put_object(Bucket=B, Key="sum", Body=body, ChecksumAlgorithm=algorithm)
        except Exception as e:
            if type(e).__name__ == "MissingDependencyException":
                print("  not run: %s needs awscrt, which is not installed" % algorithm)
                continue
            raise
        name = "Checksum" + algorithm
        got = s3.get_object(Bucket=B, Key="sum", ChecksumMode="ENABLED")
        assert got["Body"].read() == body and got[name] == put[name], (got, put)
        head = s3.head_object(Bucket=B, Key="sum", ChecksumMode="ENABLED")
        assert head[name] == put[name] and head["ChecksumType"] == "FULL_OBJECT", head
        attributes = s3.get_object_attributes(Bucket=B, Key="sum", ObjectAttributes=["Checksum", "ObjectSize", "ETag", "StorageClass"])
        assert attributes["Checksum"][name] == put[name] and attributes["ObjectSize"] == len(body), attributes
    wrong = base64.b64encode(b"\0\0\0\0").decode()
    refused("BadDigest", s3.put_object, Bucket=B, Key="sum", Body=b"x", ChecksumCRC32=wrong)
    assert read("sum") == body
    s3.upload_file(file("up", 20 * MIB), B, "sum/parts", ExtraArgs={"ChecksumAlgorithm": "SHA256"})
    head = s3.head_object(Bucket=B, Key="sum/parts", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"].endswith("-3") and head["ChecksumType"] == "COMPOSITE", head


@current
def conditions():
    etag = s3.put_object(Bucket=B, Key="if", Body=b"x", IfNoneMatch="*")["ETag"]
    refused("PreconditionFailed", s3.put_object, Bucket=B, Key="if", Body=b"y", IfNoneMatch="*")
    refused("PreconditionFailed", s3.put_object, Bucket=B, Key="if", Body=b"y", IfMatch='"no"')
    refused("304", s3.get_object, Bucket=B, Key="if", IfNoneMatch=etag)
    s3.put_object(Bucket=B, Key="if", Body=b"y", IfMatch=etag)
    assert read("if") == b"y"


# Not built yet: each of these must be refused. When one is built, its check here
# fails, and its function becomes a @check like the others.


def not_built(code, when=check):
    def turned_around(f):
        def refused_still():
            try:
                f()
            except ClientError as e:
                said = e.response["Error"]["Code"]
            except urllib.error.HTTPError as e:
                said = e.read().decode().split("<Code>")[1].split("</Code>")[0]
            else:
                raise AssertionError("it is built now")
            assert said == code, said
        refused_still.__name__ = "not built yet, refused: " + f.__name__
        return when(refused_still)
    return turned_around


def post_form(post, body, **replaced):
    """Sends a form as a browser does, and gives the status and the answer."""
    boundary = "sherd-form"
    form = b"".join(b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (boundary.encode(), k.encode(), v.encode())
                    for k, v in {**post["fields"], **replaced}.items())
    form += b'--%s\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n%s\r\n--%s--\r\n' % (
        boundary.encode(), body, boundary.encode())
    request = urllib.request.Request(post["url"], data=form, headers={"Content-Type": "multipart/form-data; boundary=" + boundary})
    try:
        with urllib.request.urlopen(request, context=tls()) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


@check
def presigned_post():
    for version in ("s3v4", "s3"):
        client = boto3.client("s3", endpoint_url=os.environ["endpoint"], config=Config(signature_version=version))
        fields = {"acl": "bucket-owner-full-control", "success_action_status": "201"}
        conditions = [{k: v} for k, v in fields.items()] + [["content-length-range", 0, 5000]]
        post = client.generate_presigned_post(B, "form/${filename}", Fields=fields, Conditions=conditions)
        body = os.urandom(5000)
        status, answer = post_form(post, body)
        assert status == 201 and b"<Key>form/a.bin</Key>" in answer, (version, status, answer)
        assert read("form/a.bin") == body
        for wanted, code, change in ((403, b"AccessDenied", {"key": "other"}), (403, b"AccessDenied", {"x-amz-meta-a": "b"}),
                                     (403, b"AccessDenied", {"acl": "public-read"})):
            status, answer = post_form(post, body, **change)
            assert status == wanted and code in answer, (version, change, status, answer)
        status, answer = post_form(post, body + b"x")
        assert status == 400 and b"EntityTooLarge" in answer, (version, status, answer)
    refused("404", s3.head_object, Bucket=B, Key="other")


@check
def bucket_policy():
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::%s/public/*" % B}]})
    for key in ("public/a", "private/a"):
        s3.put_object(Bucket=B, Key=key, Body=b"x")
    refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=B)
    s3.put_bucket_policy(Bucket=B, Policy=policy)
    assert json.loads(s3.get_bucket_policy(Bucket=B)["Policy"]) == json.loads(policy)
    assert s3.get_bucket_policy_status(Bucket=B)["PolicyStatus"]["IsPublic"]
    anybody = boto3.client("s3", endpoint_url=os.environ["endpoint"], config=Config(signature_version=UNSIGNED))
    assert anybody.get_object(Bucket=B, Key="public/a")["Body"].read() == b"x"
    refused("AccessDenied", anybody.get_object, Bucket=B, Key="private/a")
    refused("AccessDenied", anybody.list_objects_v2, Bucket=B)
    refused("MalformedPolicy", s3.put_bucket_policy, Bucket=B, Policy=policy.replace(B, "another"))
    s3.put_public_access_block(Bucket=B, PublicAccessBlockConfiguration={"BlockPublicPolicy": True, "RestrictPublicBuckets": True})
    assert s3.get_public_access_block(Bucket=B)["PublicAccessBlockConfiguration"]["RestrictPublicBuckets"]
    refused("AccessDenied", anybody.get_object, Bucket=B, Key="public/a")
    refused("AccessDenied", s3.put_bucket_policy, Bucket=B, Policy=policy)
    s3.delete_public_access_block(Bucket=B)
    s3.delete_bucket_policy(Bucket=B)
    refused("AccessDenied", anybody.get_object, Bucket=B, Key="public/a")


@check
def bucket_cors():
    rules = [{"ID": "a", "AllowedHeaders": ["x-amz-*"], "AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://*.example.org"],
              "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 5}]
    refused("NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=B)
    s3.put_bucket_cors(Bucket=B, CORSConfiguration={"CORSRules": rules})
    assert s3.get_bucket_cors(Bucket=B)["CORSRules"] == rules
    page = {"Origin": "https://a.example.org", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-amz-date"}
    request = urllib.request.Request("%s/%s/key" % (os.environ["endpoint"], B), method="OPTIONS", headers=page)
    with urllib.request.urlopen(request, context=tls()) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"] and answer.headers["Access-Control-Allow-Methods"] == "GET, PUT"
    s3.delete_bucket_cors(Bucket=B)
    try:
        urllib.request.urlopen(request, context=tls())
        raise AssertionError("without rules no page may ask")
    except urllib.error.HTTPError as e:
        assert e.code == 403, e


@check
def bucket_lifecycle():
    rules = [{"ID": "old", "Filter": {"Prefix": "old/"}, "Status": "Enabled", "Expiration": {"Days": 30}}]
    refused("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=B)
    s3.put_bucket_lifecycle_configuration(Bucket=B, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=B)["Rules"] == rules
    assert 'rule-id="old"' in s3.put_object(Bucket=B, Key="old/a", Body=b"x")["Expiration"]
    assert "Expiration" not in s3.put_object(Bucket=B, Key="new/a", Body=b"x")
    assert 'rule-id="old"' in s3.head_object(Bucket=B, Key="old/a")["Expiration"]
    s3.delete_bucket_lifecycle(Bucket=B)


@check
def lists_are_off_where_the_owner_is_enforced():
    enforced = B + "-enforced"
    s3.create_bucket(Bucket=enforced, ObjectOwnership="BucketOwnerEnforced")
    assert s3.get_bucket_acl(Bucket=enforced)["Grants"][0]["Permission"] == "FULL_CONTROL"
    s3.put_object(Bucket=enforced, Key="acl", Body=b"x", ACL="bucket-owner-full-control")
    assert s3.get_object_acl(Bucket=enforced, Key="acl")["Grants"][0]["Permission"] == "FULL_CONTROL"
    refused("AccessControlListNotSupported", s3.put_object_acl, Bucket=enforced, Key="acl", ACL="public-read")
    assert s3.get_bucket_ownership_controls(Bucket=enforced)["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert s3.get_bucket_ownership_controls(Bucket=B)["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "ObjectWriter"}]
    s3.delete_object(Bucket=enforced, Key="acl")
    s3.delete_bucket(Bucket=enforced)


@check
def access_control_lists():
    listed = B + "-acl"
    s3.create_bucket(Bucket=listed, ObjectOwnership="ObjectWriter", ACL="public-read")
    anybody = boto3.client("s3", endpoint_url=os.environ["endpoint"], config=Config(signature_version=UNSIGNED))
    s3.put_object(Bucket=listed, Key="public", Body=b"x", ACL="public-read")
    s3.put_object(Bucket=listed, Key="private", Body=b"x")
    assert [o["Key"] for o in anybody.list_objects_v2(Bucket=listed)["Contents"]] == ["private", "public"]
    assert anybody.get_object(Bucket=listed, Key="public")["Body"].read() == b"x"
    refused("AccessDenied", anybody.get_object, Bucket=listed, Key="private")
    acl = s3.get_object_acl(Bucket=listed, Key="public")
    assert [g["Permission"] for g in acl["Grants"]] == ["READ", "FULL_CONTROL"] and acl["Grants"][0]["Grantee"]["Type"] == "Group", acl
    s3.put_object_acl(Bucket=listed, Key="private", AccessControlPolicy={"Owner": acl["Owner"], "Grants": acl["Grants"]})
    assert anybody.get_object(Bucket=listed, Key="private")["Body"].read() == b"x"
    refused("InvalidArgument", s3.put_bucket_acl, Bucket=listed, GrantRead="id=nobody")
    for key in ("public", "private"):
        s3.delete_object(Bucket=listed, Key=key)
    s3.delete_bucket(Bucket=listed)


@current
def put_if_not_an_etag():
    etag = s3.put_object(Bucket=B, Key="if not", Body=b"x", IfNoneMatch='"another"')["ETag"]
    refused("PreconditionFailed", s3.put_object, Bucket=B, Key="if not", Body=b"y", IfNoneMatch=etag)
    assert read("if not") == b"x"


@current
def optional_object_attributes():
    page = s3.list_objects_v2(Bucket=B, OptionalObjectAttributes=["RestoreStatus"])
    assert not any("RestoreStatus" in o for o in page["Contents"])


@current
def checksums_of_parts():
    parts = {}
    upload = s3.create_multipart_upload(Bucket=B, Key="parts", ChecksumAlgorithm="SHA256")["UploadId"]
    for n, body in ((1, b"a" * 5 * MIB), (2, b"b")):
        put = s3.upload_part(Bucket=B, Key="parts", UploadId=upload, PartNumber=n, Body=body, ChecksumAlgorithm="SHA256")
        parts[n] = {"PartNumber": n, "ETag": put["ETag"], "ChecksumSHA256": put["ChecksumSHA256"]}
    s3.complete_multipart_upload(Bucket=B, Key="parts", UploadId=upload, MultipartUpload={"Parts": list(parts.values())})
    for n in parts:
        got = s3.get_object(Bucket=B, Key="parts", PartNumber=n)
        assert (got["ChecksumSHA256"], got["ChecksumType"]) == (parts[n]["ChecksumSHA256"], "COMPOSITE"), got
        got["Body"].read()


@check
def server_side_encryption():
    own, other = ({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key * 32} for key in (b"k", b"K"))
    body, path, back = os.urandom(20 * MIB + 1), os.path.join(work, "plain"), os.path.join(work, "back")
    with open(path, "wb") as f:
        f.write(body)
    for kind, write, with_key in (("AES256", {"ServerSideEncryption": "AES256"}, {}), (None, own, own)):
        put = s3.put_object(Bucket=B, Key="encrypted", Body=body[:100], **write)
        assert put.get("ServerSideEncryption") == kind and ("SSECustomerKeyMD5" in put) == (write is own), put
        assert s3.head_object(Bucket=B, Key="encrypted", **with_key)["ContentLength"] == 100
        s3.upload_file(path, B, "encrypted", ExtraArgs=write)  # in parts
        s3.download_file(B, "encrypted", back, ExtraArgs=with_key)
        assert filecmp.cmp(path, back, shallow=False), kind
        assert read("encrypted", Range="bytes=8388600-8388619", **with_key) == body[8388600:8388620]
        source = {"CopySource" + name: value for name, value in with_key.items()}
        s3.copy_object(Bucket=B, Key="decrypted", CopySource={"Bucket": B, "Key": "encrypted"}, **source)
        assert read("decrypted") == body
    refused("InvalidRequest", s3.get_object, Bucket=B, Key="encrypted")
    refused("AccessDenied", s3.get_object, Bucket=B, Key="encrypted", **other)


@check
def bucket_encryption():
    refused("ServerSideEncryptionConfigurationNotFoundError", s3.get_bucket_encryption, Bucket=B)
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
    s3.put_bucket_encryption(Bucket=B, ServerSideEncryptionConfiguration={"Rules": rules})
    assert s3.get_bucket_encryption(Bucket=B)["ServerSideEncryptionConfiguration"]["Rules"] == rules
    assert s3.put_object(Bucket=B, Key="encrypted", Body=b"x")["ServerSideEncryption"] == "AES256"
    s3.delete_bucket_encryption(Bucket=B)
    assert "ServerSideEncryption" not in s3.put_object(Bucket=B, Key="encrypted", Body=b"x")


@check
def newer_checksums():
    client = boto3.client("s3", endpoint_url=os.environ["endpoint"], config=Config(request_checksum_calculation="when_required"))
    header = {}
    client.meta.events.register("before-call.s3.PutObject", lambda params, **_: params["headers"].update(header))
    for name, of in (("sha512", "2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/+hQ=="),
                     ("md5", "JfnnlDI7RTiF9RgfG2JNCw=="), ("xxhash64", "jLhB20DmroM="), ("xxhash3", "ctyxi2ehff8="),
                     ("xxhash128", "MxGUd+3l3NXpcWQnaB1YYA==")):
        header.clear()
        header["x-amz-checksum-" + name] = of
        put = client.put_object(Bucket=B, Key="summed", Body=b"123456789")
        assert put["ResponseMetadata"]["HTTPHeaders"]["x-amz-checksum-" + name] == of
        refused("BadDigest", client.put_object, Bucket=B, Key="summed", Body=b"12345678")


@check
def list_and_delete():
    for p in s3.get_paginator("list_objects_v2").paginate(Bucket=B):
        gone = s3.delete_objects(Bucket=B, Delete={"Objects": [{"Key": o["Key"]} for o in p["Contents"]]})
        assert len(gone["Deleted"]) == len(p["Contents"]) and "Errors" not in gone, gone
    s3.delete_bucket(Bucket=B)
    refused("404", s3.head_bucket, Bucket=B)


failed = []
s3.create_bucket(Bucket=B)
print("boto3 %s over %s" % (boto3.__version__, scheme))
for f in checks:
    try:
        f()
        print("boto3: ok: " + f.__name__, flush=True)
    except Exception:
        failed.append(f.__name__)
        print("boto3: FAILED: %s\n%s" % (f.__name__, traceback.format_exc(limit=2)), flush=True)
sys.exit("boto3 over %s: failed: %s" % (scheme, ", ".join(failed)) if failed else 0)
