import { assert, describe, it } from "@effect/vitest"
import { type Calls, failed, isCode, map, unsupported } from "@fanout/ops/Calls"
import * as FilePath from "@fanout/ops/FilePath"
import { createHash } from "node:crypto"
import { now } from "../src/internal/files/routine.ts"
import type * as Conflict from "../src/internal/steps/conflict.ts"
import type { Unit } from "../src/internal/steps/unit.ts"
import { fill } from "../src/internal/units/draftFilling.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { unitOf } from "./unitOf.ts"

const name = FilePath.make("a")

/** What is decided about the name of a file that is taken: what waits for it, is as it is to be, or is skipped. */
const decide = (
  conflict: Conflict.Mode,
  plant: (disk: MemoryFiles.Disk) => void,
  { avoid = [], ...options }: Partial<Pick<Unit, "checksums" | "isAgain" | "waits">> & {
    readonly avoid?: ReadonlyArray<string>
  } = {}
): string => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/from", "/to"]) disk.folder(folder)
  disk.file("/from/a", "text", { modified: 5_000n })
  plant(disk)
  const calls = MemoryFiles.callsOf(disk)
  const avoided = avoid.flatMap((path) => {
    const stat = calls.statPath(FilePath.make(path), false).now()
    return isCode(stat) ? [] : [{ device: stat.device, inode: stat.inode }]
  })
  const unit = unitOf({ source: "/from", target: "/to", names: [name], conflict, avoid: avoided, ...options })
  const yes = () => true
  const limits = { mayBegin: yes, mayGoOn: yes, mayPublish: yes, isLeftover: undefined }
  const { placements: [placement], rest, skipped, unchanged } = now(fill, calls, unit, limits)
  if (placement !== undefined) return placement.replaces ? "replaces" : "new"
  if (unchanged > 0) return "unchanged"
  return skipped.length > 0 ? "skipped" : rest.map(({ names }) => `${names.join()} alone`).join()
}

const same = (disk: MemoryFiles.Disk) => disk.file("/to/a", "text", { modified: 5_000n })
const different = (disk: MemoryFiles.Disk) => disk.file("/to/a", "other", { modified: 5_000n })
const [folder, link] = [
  (disk: MemoryFiles.Disk) => disk.folder("/to/a"),
  (disk: MemoryFiles.Disk) => disk.symlink("/to/a", "nowhere")
]

describe("what a copy in a unit may take the place of", () => {
  it("is nothing, in every mode", () => {
    for (const mode of ["changed", "overwrite", "skip", "rename", "error"] as const) {
      assert.strictEqual(decide(mode, () => {}), "new")
    }
  })

  it("is a file, in modes that replace", () => {
    assert.strictEqual(decide("changed", different), "replaces")
    assert.strictEqual(decide("overwrite", same), "replaces")
    assert.strictEqual(decide("changed", same), "unchanged")
    assert.strictEqual(decide("skip", different), "skipped")
    for (const mode of ["rename", "error"] as const) assert.strictEqual(decide(mode, different), "a alone")
    assert.strictEqual(decide("overwrite", folder), "a alone")
  })

  it("is a link, like a file", () => {
    assert.strictEqual(decide("overwrite", link), "replaces")
  })

  it("is what an attempt before this one has copied, where nothing waits", () => {
    assert.strictEqual(decide("skip", same, { isAgain: true }), "unchanged")
    assert.strictEqual(decide("skip", same, { isAgain: true, waits: true }), "a alone")
    assert.strictEqual(decide("skip", same), "skipped")
  })

  it("is none that belongs to the database of the job", () => {
    for (const path of ["/from/a", "/to/a"]) {
      assert.strictEqual(decide("overwrite", different, { avoid: [path] }), "a alone")
    }
  })
})

describe("the checksum of what a unit leaves", () => {
  const fillWith = (calls: (calls: Calls) => Calls) => {
    const disk = new MemoryFiles.Disk()
    for (const path of ["/from", "/to"]) {
      disk.folder(path)
      disk.file(`${path}/a`, "text", { modified: 5_000n })
      disk.file(`${path}/nothing`, "", { modified: 5_000n })
      disk.symlink(`${path}/link`, "a", { modified: 5_000n })
    }
    const unit = unitOf({ source: "/from", target: "/to", names: ["a", "link", "nothing"], checksums: "sha256" })
    const yes = () => true
    const limits = { mayBegin: yes, mayGoOn: yes, mayPublish: yes, isLeftover: undefined }
    const { rest, unchanged, unchangedDigests } = now(fill, calls(MemoryFiles.callsOf(disk)), unit, limits)
    assert.strictEqual(disk.openCount, 0)
    const told = unchangedDigests.flatMap(({ digests, names }) => names.map((name, index) => [name, digests[index]]))
    return { told, unchanged, left: rest.flatMap(({ names }) => names) }
  }
  const digestOf = (text: string) => createHash("sha256").update(text).digest("hex")

  it("is that of what is there, and links have none", () => {
    assert.deepStrictEqual(fillWith((calls) => calls), {
      told: [["a", digestOf("text")], ["nothing", digestOf("")]],
      unchanged: 3,
      left: []
    })
  })

  it("is told by others where it can't be read, or changes meanwhile", () => {
    for (const code of ["open", "read"] as const) {
      const { left, unchanged } = fillWith((calls) => ({ ...calls, [code]: () => failed(unsupported) }))
      assert.deepStrictEqual([left, unchanged], [["a", "nothing"], 1])
    }
    let changed = 0n
    const later = (calls: Calls): Calls => ({
      ...calls,
      stat: (file) => map(calls.stat(file), (stat) => ({ ...stat, changedNanos: changed++ }))
    })
    assert.deepStrictEqual(fillWith(later).left, ["a", "nothing"])
  })
})
