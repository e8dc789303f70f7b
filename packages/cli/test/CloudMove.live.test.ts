import { assert, describe, it } from "@effect/vitest"
import * as Clouds from "@fanout/ops/clouds"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, beforeAll } from "vitest"
import { isLong } from "../../../test/effort.ts"
import { CephServer, isCephMissing } from "../../ops/test/cephServer.ts"
import { FaultyS3 } from "../../ops/test/faultyS3.ts"
import { layerOf } from "../../ops/test/s3Endpoint.ts"
import { killedAt, start } from "./cloudCommand.ts"

let s3: FaultyS3
let place: string

beforeAll(async () => {
  s3 = await FaultyS3.start()
  s3.buckets.set("bucket", new Map())
  place = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-clouds-"))
})
afterAll(async () => {
  await s3.stop()
  fs.rmSync(place, { recursive: true, force: true })
})

const run = (...args: ReadonlyArray<string>) => start(s3, place, ...args).ended

const kills = isLong ? 20 : 3
const small = 60

/** A tree with small files, an empty folder, and a file that goes in three parts. */
const plant = () => {
  const tree = path.join(place, "tree")
  fs.mkdirSync(path.join(tree, "folder", "empty"), { recursive: true })
  for (let n = 0; n < small; n++) fs.writeFileSync(path.join(tree, "folder", `file-${n}`), `text ${n}\n`.repeat(n))
  fs.writeFileSync(path.join(tree, "large"), Buffer.alloc(36 * 2 ** 20, "0123456789abcdef\n"))
  return tree
}

const contentOf = (folder: string) =>
  fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted().map((name) => {
    const stat = fs.lstatSync(path.join(folder, name))
    return stat.isFile()
      ? [name, stat.mode, stat.mtimeMs, fs.readFileSync(path.join(folder, name)).toString("base64").slice(0, 500)]
      : [name]
  })

describe("fanout move with addresses", () => {
  it("moves a tree up, across and down, though it is killed, and each file is in one place in the end", async () => {
    const tree = plant()
    const before = contentOf(tree)
    const moved = path.join(place, "moved")

    for (
      const [from, to] of [[tree, "s3://bucket/move"], ["s3://bucket/move", "s3://bucket/on"], [
        "s3://bucket/on",
        moved
      ]]
    ) {
      const args = ["move", String(from), String(to)]
      let isDone = false
      for (let n = 0; n < kills && !isDone; n++) isDone = await killedAt(s3, place, 3 + (n * 23) % 40, ...args)
      if (isDone) continue
      const last = await run(...args)
      const { code, stderr, stdout } = last.code === 3 ? await run(...args) : last
      assert.strictEqual(code, 0, stdout + stderr)
    }

    assert.deepStrictEqual(contentOf(moved), before)
    assert.isFalse(fs.existsSync(tree))
    assert.strictEqual(s3.uploads.size, 0)
    assert.deepStrictEqual(
      Array.from(s3.buckets.get("bucket")?.keys() ?? []).filter((key) => /^(?:move|on)\//.test(key)),
      []
    )
  }, 300_000)
})

describe.skipIf(isCephMissing)("fanout at a gateway of Ceph", () => {
  let ceph: CephServer | undefined
  beforeAll(async () => {
    ceph = await CephServer.start()
  }, 120_000)
  afterAll(() => ceph?.stop())

  it("copies and moves a tree up, across and down, and leaves nothing where it was moved from", async () => {
    if (ceph === undefined) throw new Error("Ceph was not started")
    const { service } = ceph
    const tree = path.join(place, "sizes")
    fs.mkdirSync(path.join(tree, "empty"), { recursive: true })
    for (const size of [0, 1, 2 ** 20, 2 ** 23, 2 ** 23 + 1, 2 ** 24, 2 ** 24 + 1, 40 * 2 ** 20]) {
      fs.writeFileSync(path.join(tree, String(size)), Buffer.alloc(size, `${size} bytes\n`))
    }
    const before = contentOf(tree)
    const [copied, moved] = [path.join(place, "copied"), path.join(place, "here")]
    // The buckets are made by the first use of the layer.
    const keys = (bucket: string) =>
      Clouds.ObjectStores.pipe(
        Effect.flatMap(({ at }) => at({ scheme: "s3", bucket })),
        Effect.flatMap((store) => Stream.runCollect(store.list(""))),
        Effect.map((objects) => objects.map(({ key }) => key)),
        Effect.provide(layerOf(service, ["one", "two"])),
        Effect.runPromise
      )
    assert.deepStrictEqual(await keys("one"), [])

    for (
      const [command, from, to] of [
        ["copy", tree, "s3://one/up"],
        ["copy", "s3://one/up", "s3://two/across"],
        ["copy", "s3://two/across", copied],
        ["move", tree, "s3://one/moved"],
        ["move", "s3://one/moved", "s3://two/moved"],
        ["move", "s3://two/moved", "s3://two/renamed"],
        ["move", "s3://two/renamed", moved]
      ] as const
    ) {
      const { code, stderr, stdout } = await start({ service }, place, command, from, to).ended
      assert.strictEqual(code, 0, stdout + stderr)
    }

    assert.deepStrictEqual(contentOf(copied), before)
    assert.deepStrictEqual(contentOf(moved), before)
    assert.isFalse(fs.existsSync(tree))
    assert.strictEqual((await keys("one")).length, 9)
    assert.deepStrictEqual((await keys("two")).filter((key) => !key.startsWith("across/")), [])
  }, 300_000)
})
