import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { HttpRequest } from "../src/internal/cloud/httpTransport.ts"
import { storeOf } from "./s3Service.ts"

const md5 = (text: string) => createHash("md5").update(text).digest("hex")
/** An ETag that looks like an MD5. */
const other = (text: string) => md5(`salted ${text}`)

interface Stored {
  readonly text: string
  readonly etag: string
}

/** A store whose service has these objects, and makes the ETags of further ones like this. */
const having = (objects: Readonly<Record<string, Stored>>, etagOf: (text: string) => string) => {
  const asked: Array<string> = []
  const answer = ({ body, into, method, path }: HttpRequest) => {
    asked.push(`${method} ${path.split("?")[0]}`)
    const found = objects[path.slice("/bucket/".length)]
    if (method === "PUT") {
      return { headers: { etag: `"${etagOf(Buffer.from(body ?? []).toString())}"` }, body: Buffer.alloc(0) }
    }
    if (found === undefined) {
      const all = Object.entries(objects).map(([key, { etag, text }]) =>
        `<Contents><Key>${key}</Key><ETag>"${etag}"</ETag><Size>${text.length}</Size></Contents>`
      )
      return { headers: {}, body: Buffer.from(`<R>${all.join("")}</R>`) }
    }
    const bytes = Buffer.from(found.text)
    bytes.copy(into ?? Buffer.alloc(0))
    return { headers: { etag: `"${found.etag}"`, "content-length": String(bytes.length) }, body: bytes }
  }
  const store = storeOf(answer)
  /** Reads an object, and gives the MD5 that the store tells of it. */
  const told = (key: string) =>
    Effect.map(store.read(key, Buffer.alloc(16)), ({ info }) => info.checksums.find((one) => one.algorithm === "md5"))
  return { asked, store, told }
}

const object = (text: string, etagOf: (text: string) => string): Stored => ({ text, etag: etagOf(text) })

describe("an ETag that looks like an MD5", () => {
  it.effect("is none where other objects of the service say so, too", () =>
    Effect.gen(function*() {
      const { asked, told } = having(
        { a: object("one", other), b: object("two", other), empty: object("", other) },
        other
      )
      assert.isUndefined(yield* told("a"))
      assert.deepStrictEqual(asked, ["GET /bucket/a", "GET /bucket/a", "GET /bucket/", "GET /bucket/b"])
      assert.isUndefined(yield* told("b"))
      assert.lengthOf(asked, 5)
    }))

  it.effect("is one where another object says so: the first has rotted", () =>
    Effect.gen(function*() {
      const { told } = having({ a: object("rotten", other), b: object("two", md5) }, md5)
      assert.strictEqual((yield* told("a"))?.digest, other("rotten"))
      assert.strictEqual((yield* told("b"))?.digest, md5("two"))
    }))

  it.effect("counts as one where nothing says otherwise", () =>
    Effect.gen(function*() {
      const { told } = having({ a: object("one", other) }, other)
      assert.strictEqual((yield* told("a"))?.digest, other("one"))
    }))

  it.effect("is asked for once where it is one", () =>
    Effect.gen(function*() {
      const { asked, told } = having({ a: object("one", md5), b: object("rotten", other) }, md5)
      assert.strictEqual((yield* told("a"))?.digest, md5("one"))
      assert.strictEqual((yield* told("b"))?.digest, other("rotten"))
      assert.deepStrictEqual(asked, ["GET /bucket/a", "GET /bucket/b"])
    }))

  it.effect.each([other, md5])("is known by the answer to a put", (etagOf) =>
    Effect.gen(function*() {
      const { asked, store, told } = having({ a: object("one", other) }, etagOf)
      const put = yield* store.put("new", Buffer.from("new"))
      assert.deepStrictEqual(put.checksums, etagOf === md5 ? [{ algorithm: "md5", digest: md5("new") }] : [])
      assert.strictEqual((yield* told("a"))?.digest, etagOf === md5 ? other("one") : undefined)
      assert.lengthOf(asked, 2)
    }))
})
