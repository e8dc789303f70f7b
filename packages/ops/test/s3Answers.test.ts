import { assert, describe, it } from "@effect/vitest"
import type { ObjectStore, ObjectStoreError } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { storeOf } from "./s3Service.ts"

/** A store whose service answers whatever is asked with this. */
const answering = (headers: Readonly<Record<string, string>>, text: string): ObjectStore =>
  storeOf(() => ({ headers, body: Buffer.from(text) }))

const sized = (size: string) => `<Size>${size}</Size>`
const listing = (inner: string) => `<R><Contents><Key>a</Key>${inner}</Contents></R>`
const upload = { key: "a", id: "1" }

type Ask = (size: string | undefined) => Effect.Effect<unknown, ObjectStoreError>

const asks: ReadonlyArray<readonly [string, Ask]> = [
  [
    "a listing",
    (size) => Stream.runCollect(answering({}, listing(size === undefined ? "" : sized(size))).list("", {}))
  ],
  [
    "a list of parts",
    (size) =>
      Stream.runCollect(
        answering({}, `<R><Part><PartNumber>1</PartNumber>${size === undefined ? "" : sized(size)}</Part></R>`)
          .uploads.parts(upload)
      )
  ],
  [
    "the numbers of parts",
    (size) =>
      Stream.runCollect(
        answering({}, `<R><Part><PartNumber>${size ?? ""}</PartNumber><Size>1</Size></Part></R>`).uploads.parts(upload)
      )
  ],
  ["a look", (size) => answering(size === undefined ? {} : { "content-length": size }, "").head("a")]
]

describe("a size that a service tells", () => {
  it.effect.each(asks)("fails the call where it is none: %s", ([, ask]) =>
    Effect.gen(function*() {
      assert.isDefined(yield* ask("12"))
      for (const size of [undefined, "", "-1", "1.5", "1e300", "0x10", "NaN", "9".repeat(17)]) {
        const { message, reason } = yield* Effect.flip(ask(size))
        assert.deepInclude(reason, { _tag: "ServiceFailed", code: "NoSize" }, size)
        assert.include(message, "NoSize")
      }
    }))
})

describe("a size that is told", () => {
  it.effect("is that of the object", () =>
    Effect.gen(function*() {
      const found = yield* answering({ "content-length": "12" }, "").head("a")
      assert.strictEqual(Option.getOrThrow(found).sizeBytes, 12)
    }))
})
