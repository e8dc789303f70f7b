import { assert, describe, it } from "@effect/vitest"
import { type Answer, type Calls, isCode } from "@fanout/ops/Calls"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import { giveBackName, takeName } from "../src/internal/files/freeName.ts"
import { now } from "../src/internal/files/routine.ts"
import { faultyCalls } from "./faultyCalls.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const [from, to] = [FilePath.make("from"), FilePath.make("to")]

const kinds = ["file", "link", "folder"] as const
type Kind = (typeof kinds)[number]

/** A file system, by what it can, and whether the name is taken. */
interface World {
  readonly kind: Kind
  readonly renamesExclusively: boolean
  readonly lacksLinks: boolean
  readonly isTaken: boolean
}

const worlds: ReadonlyArray<World> = kinds.flatMap((kind) =>
  [true, false].flatMap((renamesExclusively) =>
    [true, false].flatMap((lacksLinks) =>
      [true, false].map((isTaken) => ({ kind, renamesExclusively, lacksLinks, isTaken }))
    )
  )
)

const make = (disk: MemoryFiles.Disk, path: string, kind: Kind, text: string): void => {
  if (kind === "file") disk.file(path, text)
  else if (kind === "link") disk.symlink(path, text)
  else disk.folder(path)
}

const plant = ({ isTaken, kind, lacksLinks, renamesExclusively }: World) => {
  const disk = new MemoryFiles.Disk()
  disk.renamesExclusively = renamesExclusively
  disk.folder("/in")
  disk.takes("/in", { lacksLinks })
  make(disk, "/in/from", kind, "own")
  // An empty folder is what a rename of a folder would take the place of.
  if (isTaken) make(disk, "/in/to", kind, "of somebody else")
  const folder = MemoryFiles.callsOf(disk).openPath(FilePath.make("/in"), "folder").now()
  if (isCode(folder)) throw new Error(folder.name)
  const inode = (name: FilePath.FilePath): bigint | undefined => {
    const stat = MemoryFiles.callsOf(disk).lstat(folder, name).now()
    return isCode(stat) ? undefined : stat.inode
  }
  return { disk, folder, inode, own: inode(from), other: inode(to) }
}

const named = (folder: number, name: FilePath.FilePath) => ({ folder, name })

const nameOf = (answer: Answer<void>): string | undefined => isCode(answer) ? answer.name : undefined

/** Calls of which one fails, or, where all ends with that, each that comes after it, too. */
const failingFrom = (disk: MemoryFiles.Disk, nth: number, code: string, isLast: boolean) => {
  let made = 0
  const failed: Array<string> = []
  const calls: Calls = faultyCalls(MemoryFiles.callsOf(disk), (call, path) => {
    const at = made++
    if (isLast ? at < nth : at !== nth) return Effect.void
    failed.push(`${call} ${path}`)
    return Effect.fail(FaultyFiles.error(call, path, code))
  })
  return { calls, failed }
}

const codes = ["EIO", "EPERM", "EACCES", "ENOSPC", "ENOTSUP", "EINVAL", "EROFS"]

describe("a name that is free", () => {
  it("is taken, and the former one is gone; one that is not free keeps what has it", () => {
    for (const world of worlds) {
      const { disk, folder, inode, other, own } = plant(world)
      const answer = now(takeName, MemoryFiles.callsOf(disk), named(folder, from), named(folder, to), false)
      const why = JSON.stringify(world)
      assert.strictEqual(nameOf(answer), world.isTaken ? "EEXIST" : undefined, why)
      assert.deepStrictEqual([inode(from), inode(to)], world.isTaken ? [own, other] : [undefined, own], why)
    }
  })

  it("takes the place of nothing and loses nothing, whichever call fails or is the last", () => {
    for (const world of worlds) {
      for (const mayStay of [true, false]) {
        for (const isLast of [true, false]) {
          for (const code of isLast ? ["EIO"] : codes) {
            for (let nth = 0;; nth++) {
              const { disk, folder, inode, other, own } = plant(world)
              const { calls, failed } = failingFrom(disk, nth, code, isLast)
              const answer = now(takeName, calls, named(folder, from), named(folder, to), mayStay)
              const [there, target] = [inode(from), inode(to)]
              const why = JSON.stringify({ world, mayStay, isLast, code, nth, failed, answer: nameOf(answer) })
              if (world.isTaken) assert.deepStrictEqual([there, target], [own, other], why)
              else assert.include([there, target], own, why)
              if (!isCode(answer)) assert.deepStrictEqual([target, mayStay || there === undefined], [own, true], why)
              // What has failed once is as it was before.
              if (isCode(answer) && !isLast) assert.deepStrictEqual([there, target], [own, other], why)
              if (isCode(answer) && isLast && !world.isTaken) {
                const again = now(giveBackName, MemoryFiles.callsOf(disk), named(folder, from), named(folder, to))
                assert.isUndefined(nameOf(again), why)
                assert.deepStrictEqual([inode(from), inode(to)], [undefined, own], why)
              }
              if (failed.length === 0) break
            }
          }
        }
      }
    }
  })

  it("is not taken from another file by what has it back, nor from another name of the same source", () => {
    for (const world of worlds.filter(({ isTaken }) => isTaken)) {
      const { disk, folder, inode, other, own } = plant(world)
      const back = now(giveBackName, MemoryFiles.callsOf(disk), named(folder, from), named(folder, to))
      assert.deepStrictEqual([nameOf(back), inode(from), inode(to)], ["EEXIST", own, other])
    }
    const { disk, folder, inode, own } = plant({
      kind: "file",
      renamesExclusively: true,
      lacksLinks: false,
      isTaken: false
    })
    const calls = MemoryFiles.callsOf(disk)
    calls.link(folder, from, folder, to).now()
    assert.strictEqual(nameOf(now(takeName, calls, named(folder, from), named(folder, to), false)), "EEXIST")
    assert.deepStrictEqual([inode(from), inode(to)], [own, own])
  })
})
