import { assert, describe, it } from "@effect/vitest"
import type { MediaRecord } from "@fanout/ops/MediaRecord"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as MediaCorpus from "./mediaCorpus.ts"

/** Fields that are by the length of the file, or tell that it is broken. */
const changing = new Set(["sizeBytes", "problems", "bitrate", "duration", "container"])

/** What Matroska has where nothing is said, and what it may hold. */
const assumed = new Set(["mimeType", "sampleRate", "channels"])

const fieldsOf = (kind: string, record: MediaRecord) =>
  Object.entries(record).filter(([field]) => !changing.has(field) && !(kind === "webm" && assumed.has(field)))

/** Whether a value is that of the whole; a time may lack its zone. */
const isOf = (whole: unknown, field: string, value: unknown): boolean =>
  field === "takenAt" ? String(whole).startsWith(String(value)) : JSON.stringify(whole) === JSON.stringify(value)

describe("what is told of a file", () => {
  it.effect("is so, for each kind, tag, form and prefix", () =>
    Effect.gen(function*() {
      const wrong: Array<string> = []
      for (const { bytes, name, told } of MediaCorpus.cases) {
        const result = yield* MediaCorpus.read(bytes)
        const record: Partial<MediaRecord> = Result.isSuccess(result) ? result.success.record : {}
        for (const [field, value] of Object.entries(told)) {
          const found = Object.entries(record).find(([name]) => name === field)?.[1]
          const isSame = JSON.stringify(found) === JSON.stringify(value)
          if (!isSame) wrong.push(`${name}: ${field} is ${JSON.stringify(found)}`)
        }
        if (record.problems !== undefined) wrong.push(`${name}: ${record.problems.join(", ")}`)
      }
      assert.deepStrictEqual(wrong, [])
      assert.isAbove(MediaCorpus.cases.length, 400)
    }))

  it.effect.each(MediaCorpus.full)(
    "is of the whole of a %s, or is not told, wherever that ends",
    ([kind, bytes]) =>
      Effect.gen(function*() {
        const whole = yield* MediaCorpus.read(bytes)
        assert.isTrue(Result.isSuccess(whole))
        const known = new Map(Result.isSuccess(whole) ? fieldsOf(kind, whole.success.record) : [])
        const wrong: Array<string> = []
        const step = Math.max(1, Math.floor(bytes.length / 150))
        for (let end = 0; end < bytes.length; end += step) {
          const result = yield* MediaCorpus.read(bytes.subarray(0, end))
          if (Result.isFailure(result)) {
            assert.include(["Skipped", "MediaFailed"], result.failure._tag)
            continue
          }
          for (const [field, value] of fieldsOf(kind, result.success.record)) {
            if (!isOf(known.get(field), field, value)) {
              wrong.push(`${end} of ${bytes.length}: ${field} is ${JSON.stringify(value)}`)
            }
          }
        }
        assert.deepStrictEqual(wrong, [])
      })
  )
})
