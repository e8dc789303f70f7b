import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { type Entry, type Info, isUnchanged, statOf } from "../src/internal/objects/objectStat.ts"
import * as World from "./objectHarness.ts"

const ways = {
  up: { source: "/from", destination: "s3://other/y" },
  down: { source: "s3://bucket/x", destination: "/to/y" },
  between: { source: "s3://bucket/x", destination: "s3://other/y" }
}

/** A file or object: its content, the seconds that it has as its time, and how long before the copy it was made. */
const Side = Schema.Struct({
  text: Schema.Literals(["one", "two"]),
  seconds: Schema.Literals([7, 8]),
  /** Another tool records no time, and rclone fewer digits. */
  madeBy: Schema.Literals(["fanout", "rclone", "other"])
})
type Side = typeof Side.Type

const digits = { fanout: ".000000000", rclone: "", other: undefined }

/** What is large has an ETag of parts. */
const textOf = ({ text }: Side, isLarge: boolean): string => isLarge ? text + World.long(1) : text

/** The time that an object has: its own, or when it was stored. */
const timeOf = ({ madeBy, seconds }: Side): number | undefined => madeBy === "other" ? undefined : seconds

const Given = Schema.Struct({
  way: Schema.Literals(["up", "down", "between"]),
  source: Side,
  target: Side,
  isLarge: Schema.Boolean,
  /** Files of a folder are copied together, unless each is to be flushed. */
  together: Schema.Boolean,
  /** How long after the source was made its target was. */
  minutes: Schema.Literals([0, 60])
})

/** Puts a file or an object at the one path that there is. */
const plant = Effect.fnUntraced(function*(world: World.World, at: string, side: Side, isLarge: boolean) {
  if (at.startsWith("/")) {
    if (at === "/to/y") world.disk.folder(at)
    return world.disk.file(`${at}/a`, textOf(side, isLarge), { modified: BigInt(side.seconds) * 1_000_000_000n })
  }
  const [, , bucket, prefix] = at.split("/")
  const part = digits[side.madeBy]
  const metadata: Record<string, string> = part === undefined ? {} : { mtime: `${side.seconds}${part}` }
  yield* World.put(bucket === "other" ? { store: world.other } : world, `${prefix}/a`, textOf(side, isLarge), metadata)
})

describe("Objects and files of one size", () => {
  it.effect.prop(
    "are unchanged only if they have one content, as far as anything tells that, and a preview says the same",
    { given: Given },
    ({ given: { isLarge, minutes, source, target, together, way } }) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(World.ofSmallParts)
        const { destination, source: from } = ways[way]
        // Files were changed before that.
        yield* TestClock.setTime(9_000_000_010_000)
        yield* plant(world, from, source, isLarge)
        yield* TestClock.adjust(`${minutes} minutes`)
        yield* plant(world, destination, target, isLarge)
        const options = { request: { noTargetDirectory: true, ...together ? {} : { durable: true as const } } }

        const preview = yield* World.previewCopy(world, from, destination, options)
        const { tally } = yield* World.copy(world, from, destination, options)

        const isSame = source.text === target.text
        const isFile = (at: string) => at.startsWith("/")
        const times = [
          isFile(from) ? source.seconds : timeOf(source),
          isFile(destination) ? target.seconds : timeOf(target)
        ]
        const isSameTime = times[0] !== undefined && times[0] === times[1]
        const isUnchanged = tally.tags["Unchanged"] === 1
        // Checksums of two objects tell more than their times.
        if (!isSame && (way === "between" || !isSameTime)) assert.isFalse(isUnchanged)
        if (isSame && isSameTime) assert.isTrue(isUnchanged)
        assert.strictEqual(isUnchanged, preview.some(({ action }) => action === "Unchanged"))
        assert.strictEqual(isUnchanged ? undefined : 1, tally.tags["Copied"])
      }),
    { arbitrary: { runs: runs(500) } }
  )

  it.effect.each([true, false])(
    "are copied from a second folder over the first, though its files are older than the objects (together: %s)",
    (together) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        const sizes = [4, 2 ** 18 + 1]
        yield* TestClock.setTime(9_200_000_000_000)
        for (const size of sizes) {
          world.disk.file(`/from/${size}`, "b".repeat(size), { modified: 8n })
          yield* World.put(world, `y/${size}`, "a".repeat(size), { mtime: "7" })
        }

        const { tally } = yield* World.copy(world, "/from", "s3://bucket/y", {
          request: together ? {} : { durable: true }
        })

        assert.strictEqual(tally.tags["Copied"], sizes.length)
        for (const size of sizes) assert.strictEqual((yield* World.read(world, `y/${size}`)).text, "b".repeat(size))
      })
  )

  it.effect("are looked at above 256 KiB, and read up to that, where nothing has changed", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* TestClock.setTime(9_200_000_000_000)
      for (const size of [2 ** 18, 2 ** 18 + 1]) world.disk.file(`/from/${size}`, "a".repeat(size))
      yield* World.copy(world, "/from", "s3://bucket/y")

      const { tally } = yield* World.copy(world, "/from", "s3://bucket/y")

      assert.strictEqual(tally.tags["Unchanged"], 2)
      assert.deepStrictEqual(world.requests, ["list y/", `head y/${2 ** 18 + 1}`])
    }))
})

const process = { user: 0, denied: 0 }

/** An object as it was listed, and as the store tells of it then. */
const objectOf = (etag: string, info: Partial<Info> = {}): { readonly listed: Entry; readonly looked: Entry } => {
  const listed = { key: "a", sizeBytes: 4, etag, storedMillis: 9_000_000_000_000 }
  const all = { ...listed, metadata: { mtime: "7" }, checksums: [], ...info }
  return {
    listed: { stat: statOf("bucket", listed, process), info: listed },
    looked: { stat: statOf("bucket", all, process), info: all }
  }
}

describe("A file and its object of one size and time", () => {
  it.effect.each<readonly [why: string, info: Partial<Info>, is: boolean]>([
    ["an MD5 that is not the one of the file", { checksums: [{ algorithm: "md5", digest: "1".repeat(32) }] }, false],
    ["an ETag that is no MD5, as of a store that encrypts", {}, true]
  ])("are told apart by %s", ([, info, is]) =>
    Effect.gen(function*() {
      const { listed, looked } = objectOf("1".repeat(32), info)
      const stat = { ...looked.stat, changedNanos: 0n }

      const isSame = yield* isUnchanged({
        source: { stat },
        target: listed,
        look: () => Effect.succeed(looked),
        read: Effect.succeed(Buffer.from("text"))
      })

      assert.strictEqual(isSame, is)
    }))
})

const [one, two] = ["1".repeat(32), "2".repeat(32)] as const
const md5 = (digest: string): Partial<Info> => ({ checksums: [{ algorithm: "md5", digest }] })

describe("Two objects of one size", () => {
  it.effect.each<readonly [why: string, a: ReturnType<typeof objectOf>, b: ReturnType<typeof objectOf>, is: boolean]>([
    ["have one MD5", objectOf(one), objectOf(one.toUpperCase(), { metadata: {} }), true],
    ["have one ETag of parts", objectOf(`${one}-2`), objectOf(`${one}-2`, { metadata: {} }), true],
    ["have another MD5, and one time", objectOf(one, md5(one)), objectOf(two, md5(two)), false],
    ["have ETags of a store that encrypts, and one time", objectOf(one), objectOf(two), true],
    ["have ETags of a store that encrypts, and other times", objectOf(one), objectOf(two, { metadata: {} }), false],
    ["have no ETag", objectOf(""), objectOf("", { metadata: {} }), false],
    [
      "have an ETag that stands for none",
      objectOf(`${"0".repeat(32)}-1`),
      objectOf(`${"0".repeat(32)}-1`, { metadata: {} }),
      false
    ],
    ["have an ETag that is a number", objectOf("1"), objectOf("1", { metadata: {} }), false]
  ])("that %s are told apart by that", ([, a, b, is]) =>
    Effect.gen(function*() {
      const isSame = yield* isUnchanged({
        source: a.listed,
        target: b.listed,
        look: (side) => Effect.succeed((side === "source" ? a : b).looked),
        read: Effect.die("an object is read")
      })

      assert.strictEqual(isSame, is)
    }))
})
