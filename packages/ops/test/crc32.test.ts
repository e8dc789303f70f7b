import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { crc32Of, crc32OfParts } from "../src/internal/cloud/crc32.ts"

const partOf = (bytes: Uint8Array, index: number) => ({
  number: index + 1,
  sizeBytes: bytes.length,
  etag: "",
  checksum: crc32Of(bytes)
})

describe("crc32", () => {
  it("is what others calculate", () => {
    assert.deepStrictEqual(crc32Of(Buffer.from("123456789")), { algorithm: "crc32", digest: "cbf43926" })
    assert.strictEqual(crc32Of(Buffer.from("1")).digest.length, 8)
  })

  it.prop("of parts is that of the whole", { parts: Schema.Array(Schema.Array(Schema.Natural)) }, ({ parts }) => {
    const bytes = parts.map((part) => Uint8Array.from(part))
    assert.deepStrictEqual(crc32OfParts(bytes.map(partOf)), crc32Of(Buffer.concat(bytes)))
  })

  it("of large parts is that of the whole", () => {
    const bytes = [Buffer.alloc(5_000_001, 1), Buffer.alloc(7, 2), Buffer.alloc(3_000_000, 3)]
    assert.deepStrictEqual(crc32OfParts(bytes.map(partOf)), crc32Of(Buffer.concat(bytes)))
  })

  it("is not known where a part has none", () => {
    assert.isUndefined(crc32OfParts([partOf(Buffer.from("a"), 0), { number: 2, sizeBytes: 1, etag: "" }]))
  })
})
