import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { afterAll, afterEach, beforeAll } from "vitest"
import { type Asked, type Fault, FaultyS3 } from "./faultyS3.ts"
import { objectStoreContract } from "./objectStoreContract.ts"
import { layerOf } from "./s3Endpoint.ts"

const buckets = ["one", "two"]
const MiB = 2 ** 20
let s3: FaultyS3

beforeAll(async () => {
  s3 = await FaultyS3.start()
})
afterAll(() => s3.stop())
afterEach(() => s3.calm())

const contract = { bucket: "one", otherBucket: "two", partBytes: 5 * MiB }
const service = (checksums: boolean) => Layer.suspend(() => layerOf(s3.service, buckets, { checksums }))

objectStoreContract("S3", {
  ...contract,
  test: (name, body) => it.live(name, () => Effect.provide(body, service(true)))
})

objectStoreContract("S3 without checksums", {
  ...contract,
  test: (name, body) => it.live(name, () => Effect.provide(body, service(false)))
})

objectStoreContract("S3 without conditions, deletions of several objects, and times", {
  ...contract,
  differences: ["conditions refused", "times untold"],
  test: (name, body) =>
    it.live(name, () =>
      Effect.provide(
        Effect.andThen(
          Effect.sync(() => {
            s3.lacks = new Set(["conditions", "deletions", "times"])
          }),
          body
        ),
        service(false)
      ))
})

const faults: ReadonlyArray<Fault> = [
  { _tag: "Answer", status: 500, code: "InternalError" },
  { _tag: "CutBefore" },
  { _tag: "CutAfter" },
  { _tag: "CutInside" },
  { _tag: "Flip" },
  { _tag: "Delay", millis: 20 }
]

/**
 * Each fault in turn, to each request once. To begin an upload is not tried again, and who reads an object is told of a
 * cut. That the content of an answer is another one, no store can see.
 */
const inTurn = () => {
  const seen = new Set<string>()
  return ({ bucket, key, method, query }: Asked): Fault | undefined => {
    const name = [method, bucket, key, ...query.entries()].join(" ")
    if (seen.has(name) || (method === "POST" && query.has("uploads"))) return undefined
    seen.add(name)
    const fault = faults[seen.size % faults.length]
    const isRead = method === "GET" && key !== "" && !query.has("uploadId")
    if (fault?._tag === "Flip" && method === "GET") return undefined
    return isRead && fault?._tag === "CutInside" ? undefined : fault
  }
}

objectStoreContract("S3 with faults", {
  ...contract,
  test: (name, body) =>
    it.live(name, () =>
      Effect.provide(
        Effect.andThen(
          Effect.sync(() => {
            s3.plan = inTurn()
          }),
          body
        ),
        service(true)
      ))
})
