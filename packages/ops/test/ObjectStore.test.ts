import { assert, describe, it } from "@effect/vitest"
import * as Clouds from "@fanout/ops/clouds"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as MemoryStore from "./memoryStore.ts"
import { objectStoreContract } from "./objectStoreContract.ts"

const layer = MemoryStore.layer({ buckets: ["one", "two"] })

objectStoreContract("memory", {
  test: (name, body) => it.effect(name, () => Effect.provide(body, layer)),
  bucket: "one",
  otherBucket: "two",
  partBytes: 5 * 2 ** 20
})

const { memoryCapabilities } = MemoryStore
const poor = MemoryStore.layer({
  buckets: ["one", "two"],
  capabilities: {
    ...memoryCapabilities,
    checksum: undefined,
    conditions: { put: false, complete: false, copy: false },
    copies: false
  }
})

objectStoreContract("memory that can do little", {
  test: (name, body) => it.effect(name, () => Effect.provide(body, poor)),
  bucket: "one",
  otherBucket: "two",
  partBytes: 5 * 2 ** 20
})

describe("addresses of clouds", () => {
  const parsed = (text: string) => Result.getOrThrow(Clouds.parseAddress(text))

  it.each([
    ["s3://bucket", "bucket", ""],
    ["s3://bucket/", "bucket", ""],
    ["s3://bucket/a/../b//c/", "bucket", "a/../b//c/"],
    ["s3://bucket/a%20b?x#y\n@:", "bucket", "a%20b?x#y\n@:"],
    ["s3://bucket//a", "bucket", "/a"]
  ])("%s has the bucket %s and the key %s", (text, bucket, key) => {
    assert.deepStrictEqual(parsed(text), { scheme: "s3", bucket, key })
  })

  it.each([
    "s3://",
    "s3:///key",
    "gs://bucket/a",
    "S3://bucket/a",
    "s3://id:secret@bucket/key",
    "s3://bu cket",
    "bucket/key"
  ])(
    "%s is none",
    (text) => {
      assert.isTrue(Result.isFailure(Clouds.parseAddress(text)))
    }
  )

  it.each(["s3://id:SECRET@bucket/key", "gs://id:SEC/RET@bucket", "s3://id:SECRET@other@bucket"])(
    "%s is told without what may be a secret",
    (text) => {
      const error = Option.getOrThrow(Result.getFailure(Clouds.parseAddress(text)))
      assert.notMatch(`${error.message} ${JSON.stringify(error)} ${error.stack ?? ""}`, /SEC|RET|id:/)
      assert.include(error.message, "://…@bucket")
    }
  )

  it("are no paths", () => {
    assert.deepStrictEqual(["s3://a", "gs://a", "./s3://a", "/s3://", "s3:", "C:\\a"].map(Clouds.isCloudAddress), [
      true,
      true,
      false,
      false,
      false,
      false
    ])
  })

  it("are written as they are read", () => {
    for (const text of ["s3://bucket", "s3://bucket/a b//", "s3://bucket//a"]) {
      assert.strictEqual(Clouds.formatAddress(parsed(text)), text)
    }
  })
})
