import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest"
import { isLong } from "../../../test/effort.ts"
import { FaultyS3 } from "../../ops/test/faultyS3.ts"
import { runOn, start } from "./cloudCommand.ts"
import { differences, large, plant, surviveKills, thereIn, type Tree } from "./cloudKills.ts"

let s3: FaultyS3
let place: string

beforeAll(async () => {
  s3 = await FaultyS3.start()
})
afterAll(() => s3.stop())
beforeEach(() => {
  s3.calm()
  s3.uploads.clear()
  s3.buckets.set("bucket", new Map())
  place = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-clouds-"))
})
afterEach(() => fs.rmSync(place, { recursive: true, force: true }))

const run = (...args: ReadonlyArray<string>) => runOn(s3, place, ...args)

const minutes = (count: number) => count * (isLong ? 60_000 : 30_000)

const tree: Tree = isLong ? { small: 10_000, largeBytes: 2 ** 30 } : { small: 300, largeBytes: 36 * 2 ** 20 }
const kills = isLong ? 20 : 3

/** So many elements are on their way, or not recorded, when a process is killed. */
const window = 256

/** The tree, and where it is copied back to. */
const planted = (size = tree) => {
  const [root, back] = [path.join(place, "tree"), path.join(place, "back")]
  plant(root, size)
  return { root, back }
}

describe("fanout copy with addresses", () => {
  it("copies a tree up, between and down, though it is killed, and leaves nothing behind", async () => {
    const { between, different, down, open, up, wrongKeys } = await surviveKills(s3, "bucket", { kills, place, tree })

    assert.deepStrictEqual({ different, open, wrongKeys }, { different: "", open: [], wrongKeys: [] })
    assert.strictEqual(up.partsAgain, 0)
    for (const { kills, smallAgain } of [up, between, down]) {
      assert.isAbove(kills, 0)
      assert.isAtMost(smallAgain, window * kills)
    }

    const again = await run("copy", path.join(place, "tree"), "s3://bucket/copy")

    assert.strictEqual(again.code, 0, again.stderr)
    assert.include(again.stdout + again.stderr, `${(tree.small + 1).toLocaleString("en")} unchanged`)
    assert.strictEqual(s3.counts.get("PUT"), undefined)
  }, minutes(20))

  it("leaves no upload open where it is cancelled while its process runs, and after that was killed", async () => {
    const { root } = planted({ small: 10, largeBytes: 100 * 2 ** 20 })
    for (const isKilled of [false, true]) {
      const { child, ended } = start(s3, place, "copy", root, `s3://bucket/${isKilled}`)
      let parts = 0
      const sent = new Promise<void>((resolve) => {
        s3.plan = ({ query }) => {
          if (!query.has("partNumber")) return undefined
          if (++parts === 3) resolve()
          return parts < 3 ? undefined : { _tag: "Delay", millis: 500 }
        }
      })
      await sent
      if (isKilled) {
        child.kill("SIGKILL")
        await ended
      }
      assert.strictEqual(s3.uploads.size, 1)

      const { stdout } = await run("jobs", "list", "--json")
      const { code, stderr } = await run("jobs", "cancel", ...stdout.match(/(?<="id":")[a-z0-9]+/) ?? [])
      await ended

      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(s3.uploads.size, 0)
      s3.calm()
    }
  }, minutes(2))

  it("copies a tree up and down where requests fail and bytes are changed", async () => {
    const { back, root } = planted()
    const rates = isLong ? { cuts: 0.0025, errors: 0.0025, flips: 0.003 } : { cuts: 0.02, errors: 0.02, flips: 0.02 }
    s3.plan = ({ key, method }) => {
      // Of a range nobody knows a checksum.
      s3.chances = { ...rates, flips: method === "GET" && key.endsWith(large) ? 0 : rates.flips }
      return undefined
    }

    for (const args of [[root, "s3://bucket/copy"], ["-T", "s3://bucket/copy", back]]) {
      const { code, stderr, stdout } = await run("copy", ...args)

      assert.strictEqual(code, 0, stdout + stderr)
    }

    for (const met of ["InternalError", "XAmzContentSHA256Mismatch"]) assert.isAbove(s3.counts.get(met) ?? 0, 0, met)
    // Nothing comes in the way of the look at what is there.
    s3.calm()
    assert.strictEqual(differences(root, back), "")
    assert.deepStrictEqual((await thereIn(s3, "bucket")).open, [])
  }, minutes(10))

  it("asks for as much as a store allows that asks for fewer requests", async () => {
    const small = isLong ? 10_000 : 1000
    const { root } = planted({ small, largeBytes: 1 })
    const rateWith = async (perSecond: number | undefined, address: string) => {
      s3.chances = perSecond === undefined ? {} : { perSecond }
      const times: Array<number> = []
      s3.done = ({ method }, status) => {
        if (method === "PUT" && status === 200) times.push(performance.now())
      }
      const { code, stderr, stdout } = await run("copy", root, address)
      assert.strictEqual(code, 0, stdout + stderr)
      return small / ((times.at(-1) ?? 0) - (times[0] ?? 0)) * 1000
    }

    const free = await rateWith(undefined, "s3://bucket/free")
    // On a machine with other work, 500 may not be possible anyway.
    const perSecond = Math.min(500, Math.floor(free / 2))
    const limited = await rateWith(perSecond, "s3://bucket/limited")

    assert.isAbove(s3.counts.get("SlowDown") ?? 0, 0)
    if (isLong) assert.isAtLeast(limited, 0.8 * perSecond)
  }, minutes(5))

  it.each<readonly [string, ReadonlyArray<string>, RegExp]>([
    ["a scheme that is not known", ["copy", "tree", "gs://bucket/x"], /the scheme "gs" is not known/],
    ["a bucket that is not there", ["copy", "tree", "s3://other/x"], /no such bucket/],
    [
      "an option that has no meaning",
      ["copy", "--preserve", "owner", "tree", "s3://bucket/x"],
      /with "owner": leave it out/
    ],
    ["a move into itself", ["move", "s3://bucket/copy", "s3://bucket/copy/x"], /into itself/],
    ["a folder that goes into itself", ["copy", "s3://bucket/copy", "s3://bucket/copy/x"], /into itself/],
    ["files and objects", ["copy", "tree", "s3://bucket/copy", "."], /can't be copied by one job/]
  ])("refuses %s, and does nothing", async (_, args, why) => {
    fs.mkdirSync(path.join(place, "tree"), { recursive: true })
    const stored = { bytes: Buffer.from("text"), etag: "etag", storedAt: new Date(), headers: {} }
    s3.buckets.get("bucket")?.set("copy/file", stored)

    const { code, stderr } = await run(...args)

    assert.match(stderr, why)
    assert.strictEqual(code, 2)
  })
})
