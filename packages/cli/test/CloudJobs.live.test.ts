import { assert, describe, it } from "@effect/vitest"
import * as Clouds from "@fanout/ops/clouds"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import { afterAll, beforeAll } from "vitest"
import { isLong } from "../../../test/effort.ts"
import { FaultyS3 } from "../../ops/test/faultyS3.ts"
import type { ForeignStore, RunningStore } from "../../ops/test/foreignStore.ts"
import { foreignStores } from "../../ops/test/foreignStores.ts"
import { layerOf } from "../../ops/test/s3Endpoint.ts"
import { killedAt, runOn, useCloud } from "./cloudCommand.ts"

let s3: FaultyS3
let place: string

useCloud((cloud) => ({ place, s3 } = cloud))

const run = (...args: ReadonlyArray<string>) => runOn(s3, place, ...args)

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
  })
})

describe("fanout hash and verify with addresses", () => {
  it("hash objects, check them, and compare them with files", async () => {
    const tree = plant()
    const up = await run("copy", tree, "s3://bucket/compared")
    assert.strictEqual(up.code, 0, up.stderr)

    const sums = path.join(place, "sums.sha256")
    const hashed = await run("hash", "--algo", "sha256", "s3://bucket/compared", "-o", sums)
    const checked = await run("hash", "--check", sums)
    s3.counts.clear()
    const same = await run("verify", tree, "s3://bucket/compared")
    const reads = s3.counts.get("GET")
    fs.writeFileSync(path.join(tree, "folder", "file-9"), "Text 9\n" + "text 9\n".repeat(8))
    fs.writeFileSync(path.join(tree, "new"), "new")
    const other = await run("verify", "--ignore", "times", "--ignore", "mode", "s3://bucket/compared", tree)

    assert.strictEqual(hashed.code, 0, hashed.stderr)
    assert.include(fs.readFileSync(sums, "utf8"), "  s3://bucket/compared/folder/file-0\n")
    assert.strictEqual(checked.code, 0, checked.stdout + checked.stderr)
    assert.strictEqual(checked.stdout.split("\n").filter((line) => line.endsWith(": OK")).length, small + 1)
    assert.strictEqual(same.code, 0, same.stdout + same.stderr)
    assert.match(same.stderr, /60 by checksum, 1 by reading/)
    assert.isBelow(reads ?? 0, 20)
    assert.strictEqual(other.code, 1)
    assert.match(other.stdout, /^different .*folder\/file-9: md5 \w+ in A, \w+ in B$/m)
    assert.match(other.stdout, /^extra .*new: nothing in A, a file in B$/m)
  })

  it.each<readonly [string, ReadonlyArray<string>, RegExp]>([
    ["a cache", ["hash", "--cache", "s3://bucket/x"], /there is no --cache/],
    ["samples", ["hash", "--sampled", "s3://bucket/x"], /there is no --sampled/],
    ["an object as a checksum file", ["hash", "--check", "s3://bucket/x"], /It may name objects, and is no object/],
    ["files and objects", ["hash", "tree", "s3://bucket/x"], /can't be hashed by one job/],
    ["what is no address", ["verify", "tree", "gs://bucket/x"], /the scheme "gs" is not known/],
    ["one tree in the other", ["verify", "s3://bucket/compared", "s3://bucket"], /is inside of/]
  ])("refuses %s, and does nothing", async (_, args, why) => {
    fs.mkdirSync(path.join(place, "tree"), { recursive: true })

    const { code, stderr } = await run(...args)

    assert.match(stderr, why)
    assert.strictEqual(code, 2)
  })
})

/** A service that has little of what most have. */
const plain: ForeignStore = {
  name: "a service without conditions, deletions of several objects, and times",
  isMissing: false,
  differences: [],
  start: async () => {
    const s3 = await FaultyS3.start()
    s3.lacks = new Set(["conditions", "deletions", "times"])
    return { service: s3.service, stop: () => s3.stop() }
  }
}

describe.each([plain, ...foreignStores])("fanout at $name", ({ isMissing, name, start: startStore }) => {
  let store: RunningStore | undefined
  beforeAll(async () => {
    if (!isMissing) store = await startStore()
  })
  afterAll(() => store?.stop())

  const title = "copies and moves a tree up, across and down, and leaves nothing where it was moved from"
  it.skipIf(isMissing)(title, async () => {
    if (store === undefined) throw new Error(`${name} was not started`)
    const { service } = store
    const tree = path.join(place, name, "sizes")
    fs.mkdirSync(path.join(tree, "empty"), { recursive: true })
    for (const size of [0, 1, 2 ** 20, 2 ** 23, 2 ** 23 + 1, 2 ** 24, 2 ** 24 + 1, 40 * 2 ** 20]) {
      fs.writeFileSync(path.join(tree, String(size)), Buffer.alloc(size, `${size} bytes\n`))
    }
    const before = contentOf(tree)
    const [copied, moved] = [path.join(place, name, "copied"), path.join(place, name, "here")]
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
      const { code, stderr, stdout } = await runOn({ service }, place, command, from, to)
      assert.strictEqual(code, 0, stdout + stderr)
    }

    assert.deepStrictEqual(contentOf(copied), before)
    assert.deepStrictEqual(contentOf(moved), before)
    assert.isFalse(fs.existsSync(tree))
    assert.strictEqual((await keys("one")).length, 9)
    assert.deepStrictEqual((await keys("two")).filter((key) => !key.startsWith("across/")), [])
  })
})
