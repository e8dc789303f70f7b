import { assert, describe, it } from "@effect/vitest"
import { type ObjectStore, ObjectStores } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { afterAll, beforeAll } from "vitest"
import { isLong } from "../../../test/effort.ts"
import { ceph } from "../../ops/test/cephServer.ts"
import type { FaultyS3 } from "../../ops/test/faultyS3.ts"
import type { RunningStore } from "../../ops/test/foreignStore.ts"
import { layerOf } from "../../ops/test/s3Endpoint.ts"
import { killedAt, runOn, useCloud } from "./cloudCommand.ts"

let s3: FaultyS3
let place: string

useCloud((cloud) => ({ place, s3 } = cloud))

const run = (...args: ReadonlyArray<string>) => runOn(s3, place, ...args)

const kills = isLong ? 20 : 3

/** Puts as many objects into a bucket, and what is beside them. */
const fill = (count: number) => {
  const stored = { bytes: Buffer.from("text"), etag: "etag", storedAt: new Date(), headers: {} }
  const inside = Array.from({ length: count }, (_, n) => [`in/${n % 10}//${n}`, stored] as const)
  const around = ["in", "in!", "in2/a"].map((key) => [key, stored] as const)
  s3.buckets.set("full", new Map([...inside, ...around]))
}

describe("fanout delete with addresses", () => {
  const many = 4_500

  it("removes all below an address and nothing else, though it is killed", async () => {
    fill(many)
    const address = "s3://full/in/"

    const dry = await run("delete", "--dry-run", "--quiet", "--json", address)
    let isDone = false
    for (let n = 0; n < kills && !isDone; n++) isDone = await killedAt(s3, place, 2 + (n * 3) % 8, "delete", address)
    const last = await run("delete", address)

    assert.strictEqual(dry.code, 0, dry.stderr)
    assert.include(isDone ? [0, 1] : [0], last.code, last.stderr)
    assert.deepStrictEqual(Array.from(s3.buckets.get("full")?.keys() ?? []), ["in", "in!", "in2/a"])
  })

  it("removes all though the service fails, breaks connections and wants fewer requests", async () => {
    fill(20_000)
    s3.chances = { errors: 0.1, cuts: 0.1, perSecond: 20 }

    const { code, stderr, stdout } = await run("delete", "s3://full/in/")

    s3.calm()
    assert.strictEqual(code, 0, stdout + stderr)
    assert.match(stdout + stderr, /20,000 deleted/)
    assert.deepStrictEqual(Array.from(s3.buckets.get("full")?.keys() ?? []), ["in", "in!", "in2/a"])
  })

  it("tells how much it has removed, and what the store keeps", async () => {
    fill(20)
    s3.plan = ({ query }) => query.has("delete") ? { _tag: "Answer", status: 403, code: "AccessDenied" } : undefined

    const { code, stderr, stdout } = await run("delete", "s3://full/in/")
    s3.calm()
    const again = await run("delete", "s3://full/in/", "s3://full/nothing")

    assert.strictEqual(code, 1, stdout + stderr)
    assert.match(stderr, /s3:\/\/full\/in\/0\/\/0: could not remove .*permission denied \(AccessDenied\)/)
    assert.strictEqual(again.code, 1, again.stdout + again.stderr)
    assert.match(again.stdout + again.stderr, /20 deleted, 1 failed/)
  })

  it.each<readonly [string, ReadonlyArray<string>, RegExp, number]>([
    ["a bucket", ["s3://full"], /"s3:\/\/full" is a whole bucket, which is never deleted/, 2],
    ["the trash", ["--trash", "s3://full/in/"], /can't go to the trash, since an object store has none/, 2],
    ["what is not there", ["s3://full/nothing/"], /There is nothing at "s3:\/\/full\/nothing\/"/, 1]
  ])("refuses %s, and does nothing", async (_, args, why, expected) => {
    fill(5)

    const { code, stderr } = await run("delete", ...args)

    assert.match(stderr, why)
    assert.strictEqual(code, expected)
    assert.strictEqual(s3.buckets.get("full")?.size, 8)
  })
})

/** Leaves an upload open, which was begun so many days ago. */
const leaveOpen = (key: string, days: number) => {
  const part = { bytes: Buffer.alloc(2 ** 20), etag: "etag", storedAt: new Date() }
  s3.uploads.set(`id of ${key}`, {
    bucket: "full",
    key,
    begunAt: new Date(Date.now() - days * 86_400_000),
    headers: {},
    parts: new Map([[1, part], [2, part]])
  })
}

describe("fanout doctor with addresses", () => {
  it("tells the way to a bucket, and of uploads below the address that nobody has ended", async () => {
    fill(1)
    leaveOpen("in/old", 40)
    leaveOpen("in", 2)
    leaveOpen("in2", 40)

    const { code, stderr, stdout } = await run("doctor", "--json", "s3://full/in")

    assert.deepStrictEqual([code, stderr], [0, ""])
    const checks = stdout.trim().split("\n").map((line) => JSON.parse(line))
    const found = (what: string) => checks.filter((check) => check.what === what).map(({ found }) => found)
    assert.deepStrictEqual(found("endpoint"), [`${s3.service.endpoint}, region us-east-1, profile default`])
    assert.deepStrictEqual(found("credentials"), ["from the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"])
    assert.deepStrictEqual(found("clock"), ["as that of the service"])
    assert.match(found("s3://full/in").join(), /^the bucket can be listed, which took \d/)
    assert.match(
      found("open uploads").join(),
      /^2, whose parts are paid for.*doctor --abort-uploads 7d s3:\/\/full\/in`/
    )
    assert.deepStrictEqual(found("upload"), [
      "s3://full/in/old, begun 40d ago, 2 parts of 2 MiB",
      "s3://full/in, begun 2d ago, 2 parts of 2 MiB"
    ])
    assert.notInclude(stdout, s3.service.secretAccessKey)
    assert.notInclude(stdout, s3.service.accessKeyId)
  })

  it("aborts uploads below the address that are older than is said, and no others", async () => {
    for (const [key, days] of [["in/old", 40], ["in", 2], ["in2", 40]] as const) leaveOpen(key, days)

    const { code, stdout } = await run("doctor", "--abort-uploads", "3d", "s3://full/in")

    assert.strictEqual(code, 0, stdout)
    assert.match(stdout, /^ok +aborted +1 upload begun more than 3d ago$/m)
    assert.match(stdout, /s3:\/\/full\/in, begun 2d ago/)
    assert.deepStrictEqual(Array.from(s3.uploads.values(), ({ key }) => key).toSorted(), ["in", "in2"])
    s3.uploads.clear()
  })

  it.each<readonly [string, ReadonlyArray<string>, RegExp, number]>([
    ["a bucket that is not there", ["s3://other/a"], /^BAD +s3:\/\/other\/a +.*there is no such bucket/m, 1],
    ["an address that is none", ["s3://"], /^BAD +s3:\/\/ +.*the name of the bucket is missing/m, 1],
    ["an age without an address", ["--abort-uploads", "1d", "."], /Of which address are uploads to be aborted/, 2],
    ["an age that is none", ["--abort-uploads", "old", "s3://full"], /Expected an age like 12h, 1d or 2w/, 2]
  ])("tells what is wrong with %s", async (_, args, why, expected) => {
    const { code, stderr, stdout } = await run("doctor", ...args)

    assert.match(stdout + stderr, why)
    assert.strictEqual(code, expected)
  })
})

describe.skipIf(ceph.isMissing)("clouds of Ceph", () => {
  let store: RunningStore
  beforeAll(async () => {
    store = await ceph.start()
  })
  afterAll(() => store.stop())

  it("lose what is deleted, whatever its key is, and uploads that are aborted, and nothing else", async () => {
    const inside = ["in/", "in//x", "in/../y", "in/.", "in/a", "in/a/b", "in/z\n", "in/é", "in/\u0001"]
    const around = ["a", "in!", "in2/a"]
    const more = Array.from({ length: 1_200 }, (_, n) => `in/more/${n}`)
    const use = <A, E>(work: (store: ObjectStore) => Effect.Effect<A, E>) =>
      ObjectStores.use(({ at }) => Effect.flatMap(at({ scheme: "s3", bucket: "one" }), work)).pipe(
        Effect.provide(layerOf(store.service, ["one"])),
        Effect.runPromise
      )
    await use(({ put, uploads }) =>
      Effect.forEach([...inside, ...around, ...more], (key) => put(key, Buffer.from("text")), { concurrency: 32 }).pipe(
        Effect.andThen(Effect.forEach(["in/open", "in2"], (key) => uploads.begin(key)))
      )
    )

    const told = await runOn(store, place, "doctor", "s3://one/in")
    const aborted = await runOn(store, place, "doctor", "--abort-uploads", "0s", "s3://one/in/")
    const deleted = await runOn(store, place, "delete", "s3://one/in/")

    assert.match(told.stdout, /s3:\/\/one\/in\/open, begun \d+s ago, no part/)
    assert.match(aborted.stdout, /1 upload begun more than 0s ago/)
    assert.match(deleted.stdout + deleted.stderr, /1,209 deleted/)
    const left = await use((store) =>
      Effect.all([Stream.runCollect(store.list("")), Stream.runCollect(store.uploads.open(""))])
    )
    assert.deepStrictEqual(left.map((all) => all.map(({ key }) => key)), [around, ["in2"]])
  })
})
