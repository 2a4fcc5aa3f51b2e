// @aws-sdk/client-s3 and lib-storage with their defaults: single requests,
// managed uploads to a given size, presigned URLs, copies, listings, versions.
//
// usage: node checks.mjs <folder for files> <largest file in MiB>
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream, openSync, writeSync, closeSync, statSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { join } from "node:path";
import * as s3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const [folder, largest] = [process.argv[2], Number(process.argv[3])];
const mib = 1 << 20;
const Bucket = "javascript";
// Path style is how a bucket is named behind an address instead of a name.
const client = new s3.S3Client({ endpoint: process.env.endpoint, forcePathStyle: true });
const send = (Command, input) => client.send(new Command({ Bucket, ...input }));

async function digest(stream) {
  const hash = createHash("sha256");
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest("hex");
}

function file(name, size) {
  const path = join(folder, name);
  const f = openSync(path, "w");
  for (let at = 0; at < size; at += mib) writeSync(f, randomBytes(Math.min(mib, size - at)));
  closeSync(f);
  return path;
}

async function refused(name, promise) {
  await assert.rejects(promise, (e) => e.name === name || assert.fail(`${name} was expected, not ${e}`));
}

const checks = {
  async putAndGet() {
    for (const size of [0, 1, 5000, mib, 8 * mib + 1]) {
      const Body = randomBytes(size);
      const Key = `put/${size}`;
      await send(s3.PutObjectCommand, { Key, Body, ContentType: "text/x-sherd", Metadata: { colour: "blue" } });
      const got = await send(s3.GetObjectCommand, { Key });
      assert.ok(Body.equals(await got.Body.transformToByteArray()), `${size} bytes differ`);
      assert.equal(got.ContentType, "text/x-sherd");
      assert.deepEqual(got.Metadata, { colour: "blue" });
    }
    const part = await send(s3.GetObjectCommand, { Key: "put/5000", Range: "bytes=10-19" });
    assert.equal((await part.Body.transformToByteArray()).length, 10);
    await refused("NoSuchKey", send(s3.GetObjectCommand, { Key: "nothing" }));
    await refused("NotFound", send(s3.HeadObjectCommand, { Key: "nothing" }));
  },

  async putAFile() {
    const path = file("up", 3 * mib);
    await send(s3.PutObjectCommand, { Key: "file", Body: createReadStream(path), ContentLength: statSync(path).size });
    const got = await send(s3.GetObjectCommand, { Key: "file" });
    assert.equal(await digest(got.Body), await digest(createReadStream(path)));
  },

  async uploads() {
    for (const size of [0, 5 * mib, 5 * mib + 1, 100 * mib, 1024 * mib]) {
      if (size > largest * mib) continue;
      const [up, down] = [file("up", size), join(folder, "down")];
      const Key = `upload/${size}`;
      await new Upload({ client, params: { Bucket, Key, Body: createReadStream(up) } }).done();
      await pipeline((await send(s3.GetObjectCommand, { Key })).Body, createWriteStream(down));
      assert.equal(await digest(createReadStream(down)), await digest(createReadStream(up)), `${size} bytes differ`);
      console.log(`  Upload of a stream and back: ${size} bytes, equal`);
    }
  },

  async givenUp() {
    const upload = new Upload({ client, params: { Bucket, Key: "given up", Body: createReadStream(file("up", 30 * mib)) } });
    const done = upload.done();
    await upload.abort();
    await refused("AbortError", done);
    await refused("NotFound", send(s3.HeadObjectCommand, { Key: "given up" }));
  },

  async presigned() {
    const body = randomBytes(70000);
    const Key = "pre signed/ü+&";
    const put = await fetch(await getSignedUrl(client, new s3.PutObjectCommand({ Bucket, Key })), { method: "PUT", body });
    assert.equal(put.status, 200, await put.text());
    const got = await fetch(await getSignedUrl(client, new s3.GetObjectCommand({ Bucket, Key })));
    assert.equal(got.status, 200);
    assert.ok(body.equals(Buffer.from(await got.arrayBuffer())));
  },

  async presignedPost() {
    const body = randomBytes(5000);
    const { url, fields } = await createPresignedPost(client, {
      Bucket, Key: "form/${filename}", Expires: 60, Fields: { success_action_status: "201", "Content-Type": "image/png" },
      Conditions: [["content-length-range", 1, 5000], { "Content-Type": "image/png" }],
    });
    const post = (bytes, changed) => {
      const form = new FormData();
      for (const [name, value] of Object.entries({ ...fields, ...changed })) form.append(name, value);
      form.append("file", new Blob([bytes]), "a b.png");
      return fetch(url, { method: "POST", body: form });
    };
    const done = await post(body);
    assert.equal(done.status, 201, await done.text());
    const got = await send(s3.GetObjectCommand, { Key: "form/a b.png" });
    assert.equal(got.ContentType, "image/png");
    assert.ok(body.equals(await got.Body.transformToByteArray()));
    for (const [bytes, changed, status, code] of [
      [randomBytes(5001), {}, 400, "EntityTooLarge"], [randomBytes(0), {}, 400, "EntityTooSmall"],
      [body, { key: "elsewhere" }, 403, "AccessDenied"], [body, { "Content-Type": "text/html" }, 403, "AccessDenied"],
      [body, { "X-Amz-Signature": "0".repeat(64) }, 403, "SignatureDoesNotMatch"],
    ]) {
      const refusal = await post(bytes, changed);
      assert.equal(refusal.status, status, code);
      assert.match(await refusal.text(), new RegExp(`<Code>${code}</Code>`));
    }
    await refused("NotFound", send(s3.HeadObjectCommand, { Key: "elsewhere" }));
  },

  async copies() {
    await send(s3.PutObjectCommand, { Key: "from/a b", Body: "x", Metadata: { colour: "blue" } });
    await send(s3.CopyObjectCommand, { Key: "to", CopySource: `${Bucket}/from/${encodeURIComponent("a b")}` });
    assert.deepEqual((await send(s3.HeadObjectCommand, { Key: "to" })).Metadata, { colour: "blue" });
  },

  async listings() {
    const names = ["a b", "c+d", "ü"].flatMap((d) => [0, 1, 2, 3].map((n) => `list/${d}/${n}`)).sort();
    for (const Key of names) await send(s3.PutObjectCommand, { Key, Body: "x" });
    const keys = [], prefixes = [];
    const all = { client, pageSize: 3 };
    for await (const p of s3.paginateListObjectsV2(all, { Bucket, Prefix: "list/" })) keys.push(...p.Contents.map((o) => o.Key));
    assert.deepEqual(keys, names);
    for await (const p of s3.paginateListObjectsV2({ client, pageSize: 1 }, { Bucket, Prefix: "list/", Delimiter: "/" })) {
      prefixes.push(...(p.CommonPrefixes ?? []).map((c) => c.Prefix));
    }
    assert.deepEqual(prefixes, ["list/a b/", "list/c+d/", "list/ü/"]);
    assert.ok((await client.send(new s3.ListBucketsCommand({}))).Buckets.some((b) => b.Name === Bucket));
  },

  async versions() {
    await send(s3.PutBucketVersioningCommand, { VersioningConfiguration: { Status: "Enabled" } });
    const Key = "versions/k";
    const one = await send(s3.PutObjectCommand, { Key, Body: "one" });
    await send(s3.PutObjectCommand, { Key, Body: "two" });
    assert.equal((await send(s3.DeleteObjectCommand, { Key })).DeleteMarker, true);
    const old = await send(s3.GetObjectCommand, { Key, VersionId: one.VersionId });
    assert.equal(await old.Body.transformToString(), "one");
  },

  async tags() {
    await send(s3.PutObjectCommand, { Key: "tagged", Body: "x" });
    const TagSet = [{ Key: "colour", Value: "blue" }];
    await send(s3.PutObjectTaggingCommand, { Key: "tagged", Tagging: { TagSet } });
    assert.deepEqual((await send(s3.GetObjectTaggingCommand, { Key: "tagged" })).TagSet, TagSet);
  },

  async checksums() {
    for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
      const name = `Checksum${ChecksumAlgorithm}`;
      const put = await send(s3.PutObjectCommand, { Key: "sum", Body: randomBytes(70000), ChecksumAlgorithm });
      const got = await send(s3.GetObjectCommand, { Key: "sum", ChecksumMode: "ENABLED" });
      await got.Body.transformToByteArray();
      assert.ok(put[name]);
      assert.equal(got[name], put[name]);
    }
    await refused("BadDigest", send(s3.PutObjectCommand, { Key: "sum", Body: "x", ChecksumCRC32: "AAAAAA==" }));
  },

  async conditions() {
    await send(s3.PutObjectCommand, { Key: "if", Body: "x", IfNoneMatch: "*" });
    await refused("PreconditionFailed", send(s3.PutObjectCommand, { Key: "if", Body: "y", IfNoneMatch: "*" }));
  },

  async remove() {
    const all = await send(s3.ListObjectVersionsCommand);
    const Objects = [...all.Versions, ...all.DeleteMarkers].map(({ Key, VersionId }) => ({ Key, VersionId }));
    const gone = await send(s3.DeleteObjectsCommand, { Delete: { Objects } });
    assert.equal(gone.Errors, undefined);
    assert.equal(gone.Deleted.length, Objects.length);
    await send(s3.DeleteBucketCommand);
    await refused("NotFound", send(s3.HeadBucketCommand));
  },
};

const failed = [];
await send(s3.CreateBucketCommand);
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`js: ok: ${name}`);
  } catch (e) {
    failed.push(name);
    console.log(`js: FAILED: ${name}: ${e.stack?.split("\n").slice(0, 6).join("\n    ")}`);
  }
}
client.destroy();
if (failed.length) {
  console.log(`js over ${process.env.endpoint.split(":")[0]}: failed: ${failed.join(", ")}`);
  process.exitCode = 1;
}
